"""`springback entangle` through the command line."""

import contextlib
import io
import json
import subprocess
import sys

import pytest

from springback.cli.main import app

SUFFIX = "and so the day went on and on until the end"
ROWS = [
    {"prompt": "How was it?", "chosen": f"ok {SUFFIX}", "rejected": f"no no no no no {SUFFIX}"},
    {"prompt": "How was it?", "chosen": "It was good.", "rejected": "It was bad."},
    {"prompt": "And now?", "chosen": "same", "rejected": "same"},
    {"prompt": "And now?", "chosen": "We left.", "rejected": "We stayed for a long, long time."},
]  # fmt: skip
KEYS = {"index", "ww", "ll", "wl", "cosine", "d_w", "d_l", "chosen_change", "rejected_change", "condition"}
SMALL = ["--tiny", "--batch", "2", "--shown", "1", "--probes", "1", "--probe-tokens", "3"]


def call(*words):
    """In this process, for every import of torch takes seconds; its exit code and its one JSON object."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = app(["entangle", *words, "--json"])
    return code, json.loads(out.getvalue())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture(scope="module")
def answered(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("entangle") / "run"
    verify = ["--verify", "--lr", "1e-6,1e-5"]
    return path, *call(str(data), *SMALL, *verify, "--filter", str(path.parent / "kept.jsonl"), "--out", str(path))


def test_a_run_answers_with_the_keys_of_the_contract(answered):
    path, code, said = answered
    assert (code, said["status"], said["run"]) == (0, "done", str(path))
    result = said["result"]
    assert len(result["pairs"]) == 3
    for pair in result["pairs"]:
        assert pair.keys() >= KEYS
        assert pair["chosen_change"] == pytest.approx(pair["d_w"] * pair["ww"] - pair["d_l"] * pair["wl"])
        assert pair["rejected_change"] == pytest.approx(pair["d_w"] * pair["wl"] - pair["d_l"] * pair["ll"])
    for name in ("chosen_falls", "rejected_rises"):
        assert result["shares"][name]["n"] == 3
        assert result["shares"][name]["unit"] == "share"
    assert result["verify"]["sign_agreement"]["estimate"] >= 0.95
    assert result["verify"]["rank_correlation"]["estimate"] > 0.9
    assert (path / "report.html").exists()


def test_the_planted_pair_is_told_to_fall_and_falls(answered):
    pair = answered[2]["result"]["pairs"][0]
    assert (pair["case"], pair["condition"]) == ("2", "chosen_falls")
    assert pair["chosen_change"] < 0


def test_the_row_of_equal_answers_is_counted_and_not_diagnosed(answered):
    ledger = answered[2]["result"]["data"]["ledgers"][0]
    assert (ledger["read"], ledger["kept"]) == (4, 3)
    assert ledger["dropped"] == [{"why": "both answers are the same", "n": 1, "first": ["pairs.jsonl:3"]}]


def test_the_filter_wrote_what_passes_and_a_ledger_of_the_rest(answered, data):
    path, _, said = answered
    kept = (path.parent / "kept.jsonl").read_bytes().splitlines()
    filtered, lines = said["result"]["filter"], data.read_bytes().splitlines()
    passing = [pair["where"] for pair in said["result"]["pairs"] if pair["condition"] == "holds"]
    assert kept == [lines[int(where.rpartition(":")[2]) - 1] for where in passing]
    assert filtered["rows_in"] == 4 == filtered["rows_out"] + filtered["rows_dropped"]


def test_asked_again_with_another_filter_it_reads_what_is_stored(answered, data, tmp_path):
    words = [str(data), *SMALL, "--verify", "--lr", "1e-6,1e-5", "--out", str(answered[0])]
    code, again = call(*words, "--filter", str(tmp_path / "other.jsonl"), "--rule", "cosine<2")
    assert code == 0
    assert set(again["result"]["work_done"].values()) == {0}
    assert again["result"]["filter"]["rows_out"] == 3
    assert again["result"]["pairs"] == answered[2]["result"]["pairs"]


def test_a_plan_says_what_it_would_take_and_writes_nothing(data, tmp_path):
    code, said = call(str(data), *SMALL, "--verify", "--plan", "--out", str(tmp_path / "run"))
    plan = said["result"]["plan"]
    assert code == 0
    assert (plan["pairs"], plan["batches"], len(plan["steps"])) == (3, 2, 6)
    assert plan["memory_bytes"]["total"] > plan["memory_bytes"]["weights"] > 0
    assert "95 %" in plan["law"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "where"),
    [(["--loss", "dpp"], "--loss"), (["--loss", "ld_dpo"], "--loss"), (["--lr", "1e-5"], "--lr"),
     (["--filter", "x.jsonl", "--rule", "nice"], "--rule"), (["--pairs", "0"], "--pairs")],
)  # fmt: skip
def test_what_cannot_hold_is_refused_before_anything_is_written(data, tmp_path, words, where):
    code, said = call(str(data), *SMALL, *words, "--out", str(tmp_path / "run"))
    assert (code, said["status"]) == (2, "refused")
    assert said["error"]["where"].startswith(where)
    assert not (tmp_path / "run").exists()


def test_data_without_pairs_is_refused_with_what_would_do(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"prompt": "a", "completion": "b", "label": true}\n')
    code, said = call(str(path), *SMALL, "--out", str(tmp_path / "run"))
    assert (code, said["error"]["kind"]) == (2, "data")
    assert "chosen" in said["error"]["next"]


def test_a_row_that_is_too_long_is_refused_or_dropped_and_counted(data, tmp_path):
    words = [str(data), *SMALL, "--max-length", "80", "--out", str(tmp_path / "run")]
    code, said = call(*words)
    assert (code, said["error"]["kind"]) == (2, "data")
    code, said = call(*words, "--too-long", "drop")
    assert code == 0
    assert len(said["result"]["pairs"]) < 3
    assert "longer than 80 tokens" in said["result"]["notes"][-1]


def test_help_imports_no_torch():
    code = "import sys; from springback.cli.main import app; app(['entangle', '--help']); assert not TORCH"
    code = code.replace("TORCH", "{'torch', 'transformers'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--verify-batches" in done.stdout
