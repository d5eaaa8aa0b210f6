"""`springback prefer` through the command line."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from tests.experiments.prefer.small import rows, write

from springback.cli.main import app

SMALL = ["--tiny", "--held-out", "4", "--batch", "4", "--max-new-tokens", "4"]


def command(*words):
    return [sys.executable, "-m", "springback", "prefer", *map(str, words)]


def call(*words):
    done = subprocess.run(command(*words, "--json"), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def asked(capfd, *words):
    """The same in this process: quick enough for every refusal."""
    capfd.readouterr()
    code = app(["prefer", *map(str, words), "--json"])
    return code, json.loads(capfd.readouterr().out)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefer")
    data = write(folder / "pairs.jsonl", [*rows(), {**rows(1)[0], "chosen": ""}])
    return folder, data, *call(data, *SMALL, "--out", folder / "run")


def numbers(value):
    if isinstance(value, dict):
        if "estimate" in value:
            yield value
        for one in value.values():
            yield from numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from numbers(one)


def test_a_run_answers_with_the_contract_s_keys_and_measured_numbers(answered):
    folder, _, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(folder / "run"))
    result = said["result"]
    assert result["model"] == str(folder / "run" / "model")
    assert [step["step"] for step in result["history"]] == [0, 1, 2]
    assert {"chosen", "rejected", "margin", "accuracy", "kl"} <= result["held_out"].keys()
    assert result["accounting"]["ledgers"][0] == {
        "stage": "read", "unit": "rows", "read": 17, "kept": 16, "rule": None,
        "dropped": [{"why": "an answer is empty", "n": 1, "first": ["pairs.jsonl:17"]}],
    }  # fmt: skip
    for number in numbers(result):
        assert "why" in number or {"level", "n", "over", "unit"} <= number.keys()


def test_asked_again_it_answers_from_its_records(answered):
    folder, data, _, first = answered
    code, again = call(data, *SMALL, "--out", folder / "run")
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    assert again["result"]["history"] == first["result"]["history"]


def test_a_plan_says_what_it_would_take_and_writes_nothing(answered, tmp_path, capfd):
    code, said = asked(capfd, answered[1], *SMALL, "--plan", "--loss", "simpo", "--out", tmp_path / "run")
    plan = said["result"]["plan"]
    assert (code, plan["steps"], plan["reference"]) == (0, 3, "none")
    assert plan["ledgers"][0]["kept"] == 16
    assert plan["memory_bytes"]["total"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "kind", "where"),
    [
        (["--loss", "dpoo"], "option", "--loss"),
        (["--loss", "simpo", "--reference", "x"], "option", "--reference"),
        (["--batch", "0"], "option", "--batch"),
        (["--held-out", "17"], "data", "pairs.jsonl"),
        (["--held-out", "1.5"], "option", "--held-out"),
        (["--max-length", "20"], "data", "pairs.jsonl:1"),
        (["--loss", "aot", "--accumulate", "2"], "option", "--accumulate"),
        (["--loss", "kto", "--accumulate", "2"], "option", "--accumulate"),
        (["--filter", "ches"], "option", "--filter"),
        (["--loss", "kto", "--filter", "product"], "option", "--filter"),
        (["--checkpoint-seconds", "0"], "option", "--checkpoint-seconds"),
        (["--world", "2"], "option", "--world"),
        (["--shard"], "option", "--shard"),
    ],
)
def test_what_cannot_hold_is_refused_before_anything_is_written(answered, tmp_path, capfd, words, kind, where):
    code, said = asked(capfd, answered[1], "--tiny", *words, "--out", tmp_path / "run")
    assert (code, said["status"], said["error"]["kind"]) == (2, "refused", kind)
    assert said["error"]["where"].endswith(where)
    assert said["error"]["next"]
    assert not (tmp_path / "run").exists()


def test_killed_it_goes_on_and_ends_as_if_it_had_not_been(answered, tmp_path):
    """kill -9 after the fourth stored step; checkpoints lie behind every second one."""
    folder, data = answered[:2]
    words = [data, *SMALL, "--epochs", "4", "--checkpoint-every", "2", "--quiet"]
    del folder
    process = subprocess.Popen(command(*words, "--out", tmp_path / "run"), stdout=subprocess.DEVNULL)
    try:
        wait_for(tmp_path / "run" / "records.sqlite", process, steps=4)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    code, again = call(*words, "--out", tmp_path / "run")
    _, whole = call(*words, "--out", tmp_path / "whole")
    assert code == 0
    assert again["result"]["work_done"]["optimizer_steps"] < 12
    for name in ("history", "readings", "held_out"):
        assert again["result"][name] == whole["result"][name]


def wait_for(records, process, *, steps, seconds=120):
    for _ in range(seconds * 20):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.05)
        if not records.exists():
            continue
        with sqlite3.connect(f"file:{records}?mode=ro", uri=True) as found:
            try:
                (count,) = found.execute("select count(*) from records where kind = 'step'").fetchone()
            except sqlite3.OperationalError:
                continue
        if count >= steps:
            return
    raise AssertionError("no steps within the time")


def test_help_imports_no_torch():
    code = (
        "import sys; from springback.cli.main import app; app(['prefer', '--help']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--reference-logprobs" in done.stdout
