"""`springback rebound` through the command line."""

import json
import subprocess
import sys

import pytest

from springback.cli.main import app
from springback.experiments.rebound.config import DEFAULTS
from springback.store.run import Run

SMALL = ["--tiny", "--samples", "4", "--pairs", "6", "--max-new-tokens", "4", "--neutral", "2", "--align-sizes", "8",
         "--reverse-sizes", "4,8", "--quiet"]  # fmt: skip
KEYS = {"verdict", "grid", "stiffness", "overshoot", "closest_return", "interference", "sweeps", "comparisons",
        "scaling", "work_done", "report", "cost"}  # fmt: skip


@pytest.fixture
def ask(capsys, tmp_path):
    def _ask(*words):
        code = app(["rebound", *map(str, words), "--out", str(tmp_path / "run"), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return _ask


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run"
    words = [sys.executable, "-m", "springback", "rebound", *SMALL, "--arms", "core", "--out", str(path), "--json"]
    return path, subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_result_has_the_keys_of_the_contract(done):
    path, said = done
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    assert (answer["command"], answer["status"], answer["run"]) == ("rebound", "done", str(path))
    result = answer["result"]
    assert result.keys() == KEYS
    assert {"label", "sentence", "tests"} <= result["verdict"].keys()
    assert {"R", "k"} <= result["stiffness"].keys()
    assert {"kl", "examples", "tokens", "steps", "reached"} <= result["closest_return"].keys()
    assert "estimate" in result["overshoot"]
    assert result["grid"]
    assert result["work_done"]["cells"] == len(result["grid"])


def test_every_page_is_there_and_the_runs_own_leads_to_the_sweeps(done):
    path, said = done
    page = json.loads(said.stdout)["result"]["report"]
    text = (path / "report.html").read_text("utf-8")
    assert page == str(path / "report.html")
    assert (path / "sweeps/00/report.html").exists()
    assert 'href="sweeps/00/report.html"' in text


def test_a_person_reads_the_verdict_the_sweep_and_where_the_page_is(done, capsys):
    path, _ = done
    assert app(["rebound", *SMALL, "--arms", "core", "--out", str(path)]) == 0
    shown = capsys.readouterr().out
    for words in ("verdict: inconclusive", "Definition 3.6", "00: inconclusive; half undone", f"page: {path}"):
        assert words in shown
    assert "None" not in shown


def test_the_run_can_be_cited_listed_and_gated(done, capsys):
    path, _ = done
    for words, code in ((["cite", path], 0), (["runs", "list", path.parent], 0),
                        (["gate", path, "--fail-on", "springs_back"], 3)):  # fmt: skip
        assert app([*map(str, words)]) == code
    shown = capsys.readouterr().out
    assert "ji2024elasticity" in shown
    assert f"{path}  complete" in shown
    assert "it cannot tell springs_back" in shown


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["m", "--base", "b"], "--base"),
        (["m", "--model", "n"], "--model"),
        (["m", "--tiny"], "--tiny"),
        (["--tiny", "--seed", "1", "--seeds", "2,3"], "--seed"),
        (["--tiny", "--methods", "plain,nonsense"], "--reverse-with nonsense"),
        (["--tiny", "--methods", "replay:share=0"], "--reverse-with"),
        (["--tiny", "--methods", "plain", "--reverse-with", "replay"], "--methods"),
        (["--tiny", "--tuners", "lora:x"], "--tuners"),
        (["--tiny", "--align-mixes", "0,200"], "--align-mixes"),
        (["--tiny", "--tolerance", "0"], "--tolerance"),
        (["--tiny", "--reversals", "no/such/file.jsonl"], "no/such/file.jsonl"),
        (["--tiny", "--on", "nowhere"], "--on"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(ask, tmp_path, words, where):
    code, said = ask(*words)
    assert (code, said["status"]) == (2, "refused")
    assert said["error"]["where"] == where
    assert said["error"]["next"]
    assert list(tmp_path.iterdir()) == []


def test_a_plan_counts_sweeps_and_cells_and_writes_nothing(capsys, tmp_path):
    words = [*SMALL, "--align-mixes", "0,50", "--methods", "plain,constrained:first=0.5,until=3"]
    assert app(["rebound", *words, "--plan", "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("4 sweeps, ")
    assert "03-align-mix-50-method-constrained-first-0.5-until-3" in shown
    assert app(["rebound", *SMALL, "--plan"]) == 0
    assert capsys.readouterr().out.startswith("1 sweep, ")
    assert not (tmp_path / "run").exists()


def test_a_sweep_leaves_out_of_an_audit_what_the_defaults_say_unless_it_is_asked_for(done, capsys):
    with Run.look(done[0] / "sweeps/00") as run:
        assert run.asked["arms"] == "core"
        assert run.asked["layers"] == DEFAULTS["layers"]
        assert tuple(run.asked["forced_tokens"]) == DEFAULTS["forced_tokens"]
    assert app(["rebound", *SMALL, "--plan", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["result"]["plan"]["sweeps"]["00"]["units"]["point"]
    with Run.look(done[0]) as run:
        assert cells > len(run.keys("cell"))


def test_help_imports_neither_torch_nor_numpy_and_names_every_axis():
    code = "import sys\nfrom springback.cli.main import app\napp(['rebound', '--help'])\n"
    code += "sys.exit(len({'torch', 'numpy'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 0
    for axis in ("--tuners", "--align-mixes", "--reverse-mixes", "--reversals", "--methods", "--tolerance"):
        assert axis in said.stdout
