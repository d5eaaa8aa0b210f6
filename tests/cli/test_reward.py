"""`springback reward` through the command line."""

import json
import subprocess
import sys

import pytest
from tests.experiments.reward.planted import pairs, write

from springback.cli.main import app

SMALL = ["--tiny", "--batch", "8"]


def call(*words):
    done = subprocess.run(
        [sys.executable, "-m", "springback", "reward", *words, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "data.jsonl", pairs(40))


@pytest.fixture(scope="module")
def answered(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("reward") / "run"
    return path, *call(data, *SMALL, "--out", str(path))


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


def test_a_run_answers_with_the_keys_of_the_contract_and_measured_numbers(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert {"model", "history", "held_out", "accounting"} <= result.keys()
    assert {"config.json", "model.safetensors"} <= {file.name for file in (path / "model").iterdir()}
    found = list(numbers(result))
    assert len(found) > 30
    for number in found:
        assert "why" in number or {"level", "n", "over", "unit"} <= number.keys()
    assert result["held_out"]["accuracy"]["over"] == "pairs"
    assert result["accounting"]["steps"] == {"planned": 4, "done": 4}
    assert (path / "report.html").read_text("utf-8").count("<h2") >= 5


def test_a_plan_says_what_it_would_take_and_writes_nothing(data, tmp_path):
    code, said = call(data, *SMALL, "--plan", "--out", str(tmp_path / "run"))
    plan = said["result"]["plan"]
    assert code == 0
    assert (plan["steps"], plan["rows"]["training"], plan["rows"]["held_out"]) == (4, 32, 8)
    assert plan["memory_bytes"]["total"] > 0
    assert not (tmp_path / "run").exists()


def test_what_cannot_hold_is_refused_with_its_place_and_nothing_is_written(data, tmp_path, capfd):
    bad = write(tmp_path / "bad.jsonl", [*pairs(12), {"prompt": "p", "chosen": 3, "rejected": "b"}])
    for words, where in [
        ([data, "--loss", "hinge"], "--loss"),
        ([data, "--loss", "margin"], f"{data}:1"),
        ([bad], f"{bad}:13"),
        ([str(tmp_path / "none.jsonl")], str(tmp_path / "none.jsonl")),
    ]:
        code = app(["reward", *words, *SMALL, "--out", str(tmp_path / "run"), "--json"])
        said = json.loads(capfd.readouterr().out)
        assert (code, said["status"], said["error"]["where"]) == (2, "refused", where)
        assert not (tmp_path / "run").exists()


def test_help_imports_no_torch():
    code = (
        "import sys; from springback.cli.main import app; app(['reward', '--help']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--held-out" in done.stdout
