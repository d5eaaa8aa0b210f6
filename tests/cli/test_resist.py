"""`springback resist` through the command line."""

import json
import subprocess
import sys

import pytest

SMALL = ["--tiny", "--slices", "2", "--slice-size", "16", "--samples", "16", "--held-out", "6", "--batch", "8"]


def call(*words):
    done = subprocess.run(
        [sys.executable, "-m", "springback", "resist", *words, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    path = tmp_path_factory.mktemp("resist") / "run"
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


def test_a_run_answers_with_verdict_pairs_and_measured_numbers(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert result["verdict"]["label"] in {"resists", "does_not", "inconclusive"}
    assert [test["name"] for test in result["verdict"]["tests"]] == ["inverse_easier", "beyond_placebo"]
    assert [(pair["earlier"], pair["later"]) for pair in result["pairs"]] == [(1, 2)]
    assert {"forward", "inverse", "placebo_forward", "placebo_inverse"} <= result["pairs"][0].keys()
    for number in numbers(result):
        assert "why" in number or {"level", "n", "over", "unit"} <= number.keys()
        assert ("low" in number) == ("high" in number)


def test_the_paper_s_number_is_there_and_says_what_it_is(answered):
    statistic = answered[2]["result"]["pairs"][0]["forward"]["paper_statistic"]
    assert statistic["unit"] == "nat/token"
    assert "not held out" in statistic["what"]


def test_asked_again_it_answers_from_its_records(answered):
    path, _, first = answered
    code, again = call(*SMALL, "--out", str(path))
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    assert again["result"]["pairs"] == first["result"]["pairs"]


def test_a_plan_says_what_it_would_take_and_writes_nothing(tmp_path):
    code, said = call(*SMALL, "--plan", "--seeds", "0,1", "--out", str(tmp_path / "run"))
    plan = said["result"]["plan"]
    assert code == 0
    assert len(plan["cells"]) == 8
    assert plan["rows"]["trainings"] == 8
    assert plan["rule"]["margin"] == 0.05
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "where"),
    [(["--slices", "1"], "--slices"), (["--seed", "1", "--seeds", "2,3"], "--seed"), (["--rank", "2"], "--rank")],
)
def test_what_cannot_hold_is_refused_before_anything_is_written(tmp_path, words, where):
    code, said = call(*words, "--out", str(tmp_path / "run"))
    assert (code, said["status"], said["error"]["where"]) == (2, "refused", where)
    assert not (tmp_path / "run").exists()


def test_help_imports_no_torch():
    code = (
        "import sys; from springback.cli.main import app; app(['resist', '--help']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--slice-size" in done.stdout
