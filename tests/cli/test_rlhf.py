"""`springback rlhf` through the command line."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

SMALL = ["--tiny", "--steps", "3", "--prompts-per-step", "2", "--group", "4", "--max-new-tokens", "6"]
WORDS = "def reward(given):\n    return [sum(i % 3 == 0 for i in c.answer_ids) / 6 for c in given]\n"


def command(*words):
    return [sys.executable, "-m", "springback", "rlhf", *words, "--json"]


def call(*words):
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    prompts, code = folder / "p.jsonl", folder / "r.py"
    prompts.write_text("".join(json.dumps({"prompt": f"Say {word}."}) + "\n" for word in "abcdefghijkl"))
    code.write_text(WORDS)
    return str(prompts), str(code)


@pytest.fixture(scope="module")
def answered(tmp_path_factory, files):
    path = tmp_path_factory.mktemp("rlhf") / "run"
    return path, *call(files[0], *SMALL, "--reward", files[1], "--out", str(path))


def test_a_run_answers_with_a_model_a_history_held_out_numbers_and_an_account(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert [body["step"] for body in result["history"]] == [0, 1, 2]
    for name in ("reward", "kl", "length", "entropy"):
        assert {"estimate", "low", "high", "n", "over", "unit"} <= result["history"][2][name].keys()
    assert result["held_out"]["n"] == 3
    assert {"before", "after", "difference"} == result["held_out"]["reward"].keys()
    assert result["accounting"]["steps"] == {"planned": 3, "done": 3}
    assert result["accounting"]["answers"]["written"] == 24
    assert result["alarm"]["heard"] is False


def test_the_model_is_read_by_plain_transformers(answered):
    folder = answered[2]["result"]["model"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Say a."}], add_generation_prompt=True,
                                        return_tensors="pt")  # fmt: skip
    ids = ids if hasattr(ids, "shape") else ids["input_ids"]
    assert model(ids).logits.isfinite().all()


def test_asked_again_it_answers_from_its_records(answered, files):
    path, _, first = answered
    code, again = call(files[0], *SMALL, "--reward", files[1], "--out", str(path))
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    assert again["result"]["history"] == first["result"]["history"]


def bodies(path):
    with sqlite3.connect(path / "records.sqlite") as database:
        rows = database.execute("SELECT kind, key, body FROM records").fetchall()
    parsed = {(kind, key): json.loads(body) for kind, key, body in rows}
    return {key: {name: x for name, x in body.items() if name != "cost"} for key, body in parsed.items()}


def test_killed_in_the_middle_and_asked_again_the_records_are_the_same(tmp_path, files):
    words = [files[0], "--tiny", "--steps", "14", "--checkpoint-every", "4", "--prompts-per-step", "2", "--group", "4",
             "--reward", files[1]]  # fmt: skip
    assert call(*words, "--out", str(tmp_path / "whole"))[0] == 0
    torn = tmp_path / "torn"
    started = subprocess.Popen(
        command(*words, "--out", str(torn)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while started.poll() is None and not _stored(torn, 6):
        time.sleep(0.01)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert started.returncode == -signal.SIGKILL
    code, said = call(*words, "--out", str(torn))
    assert code == 0
    assert 0 < said["result"]["work_done"]["steps"] < 14
    assert bodies(torn) == bodies(tmp_path / "whole")


def _stored(path, steps):
    try:
        with sqlite3.connect(f"file:{path}/records.sqlite?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM records WHERE kind = 'step'").fetchone()[0] >= steps
    except sqlite3.Error:
        return False


def test_a_plan_says_what_it_would_take_and_writes_nothing(tmp_path, files):
    code, said = call(files[0], *SMALL, "--reward", files[1], "--plan", "--out", str(tmp_path / "run"))
    plan = said["result"]["plan"]
    assert code == 0
    assert plan["rows"] == {"prompts": 12, "trained_on": 9, "held_out": 3, "steps": 3, "prompts_a_step": 2,
                            "answers_a_step": 8, "answers": 24, "updates": 3}  # fmt: skip
    assert plan["memory_bytes"]["total"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--reward", "nowhere.py"], "--reward nowhere.py"),
        (["--reward", "program:sleep 60", "--reward-timeout", "0.3"], "--reward program:sleep 60"),
        (["--reward", "http://192.0.2.1/"], "--reward http://192.0.2.1/"),
        (["--reward", "scorer:lexicon", "--method", "gpro"], "--method gpro"),
        (["--reward", "scorer:lexicon", "--kl", "k1"], "--method grpo:kl=k1"),
        (["--reward", "scorer:lexicon", "--steps", "0"], "--steps"),
    ],
)
def test_what_cannot_hold_is_refused_and_nothing_is_written(tmp_path, files, words, where):
    code, said = call(files[0], "--tiny", *words, "--out", str(tmp_path / "run"))
    assert (code, said["status"], said["error"]["where"]) == (2, "refused", where)
    assert not (tmp_path / "run").exists()


def test_help_imports_no_torch():
    code = "import sys; from springback.cli.main import app; app(['rlhf', '--help']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--kl-in" in done.stdout
