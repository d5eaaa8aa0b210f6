"""`springback cycle` through the command line."""

import json
import subprocess
import sys

import pytest

SMALL = ["--tiny", "--text-sizes", "4,8", "--samples", "4", "--pairs", "8", "--neutral", "6", "--max-new-tokens", "6",
         "--arms", "core"]  # fmt: skip


def call(*words):
    done = subprocess.run(
        [sys.executable, "-m", "springback", "cycle", *words, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    path = tmp_path_factory.mktemp("cycle") / "run"
    return path, *call(*SMALL, "--out", str(path))


def numbers(value):
    """Every object that claims to be a measured number."""
    if isinstance(value, dict):
        if "estimate" in value:
            yield value
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from numbers(one)


def test_a_run_answers_with_stages_half_lives_questions_and_measured_numbers(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert result["verdict"]["label"] in {"primed", "not_primed", "inconclusive"}
    assert [body["stage"] for body in result["stages"]] == ["text", "align", "reverse", "realign", "benign"]
    assert {(body["of"], body["by"]) for body in result["half_lives"]} >= {
        ("text", "rest"), ("align", "reverse"), ("align", "benign"), ("reverse", "realign"), ("realign", None),
    }  # fmt: skip
    assert {body["answer"] for body in result["questions"]} <= {"yes", "no", "undecided"}
    for number in numbers(result):
        assert number.get("why") or {"low", "high", "level", "n", "over", "unit"} <= number.keys()


def test_asked_again_it_answers_from_its_records(answered):
    path, _, first = answered
    code, again = call(*SMALL, "--out", str(path))
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    for name in ("verdict", "stages", "half_lives", "questions", "grid"):
        assert again["result"][name] == first["result"][name]


def test_a_plan_says_what_it_would_take_and_what_is_asked_and_writes_nothing(tmp_path):
    code, said = call("--tiny", "--plan", "--seeds", "0,1", "--out", str(tmp_path / "run"))
    plan = said["result"]["plan"]
    assert code == 0
    assert (len(plan["cells"]), plan["units"]["point"]) == (2 * 15, 30.0)
    assert plan["units"]["example"] == 2.0 * (16 + 16 + 8 + 8 + 8 + 16 + 8 + 8)
    assert plan["memory_bytes"]["total"] > 0
    assert plan["disk_bytes"] > 0
    assert {one["name"] for one in plan["questions"]} > {"text_learned", "realign_quicker"}
    assert not (tmp_path / "run").exists()


def test_quick_fills_in_what_is_left_open():
    code, said = call("--quick", "--tiny", "--batch", "4", "--plan", "--align-sizes", "8,16", "--realign-sizes", "8")
    assert code == 0
    cells = said["result"]["plan"]["cells"]
    assert "0/main/align/16" in cells
    assert not [cell for cell in cells if cell.startswith("0/unaligned")]


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--text-sizes", "8,4"], "--text-sizes"),
        (["--realign-sizes", "6"], "--realign-sizes"),
        (["--realign-sizes", "32"], "--realign-sizes"),
        (["--text-sizes", "4000"], "--text-sizes"),
        (["--neutral", "1"], "--neutral"),
        (["--seed", "1", "--seeds", "2,3"], "--seed"),
    ],
)
def test_what_cannot_hold_is_refused_before_anything_is_written(tmp_path, words, where):
    code, said = call("--tiny", *words, "--out", str(tmp_path / "run"))
    assert (code, said["status"], said["error"]["where"]) == (2, "refused", where)
    assert not (tmp_path / "run").exists()


def test_help_imports_no_torch():
    code = (
        "import sys; from springback.cli.main import app; app(['cycle', '--help']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--realign-sizes" in done.stdout
