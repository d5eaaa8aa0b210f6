"""`springback audit` through the command line, on a run that is already complete."""

import json
import subprocess
import sys

import pytest

from springback.experiments.audit import outcome
from springback.store.run import Run

SMALL = ["audit", "--tiny", "--samples", "10", "--pairs", "6", "--max-new-tokens", "8", "--forced-tokens", "0,2"]


def call(*words):
    return subprocess.run([sys.executable, "-m", "springback", *words], capture_output=True, text=True, check=False)


def test_a_finished_audit_answers_at_once_with_one_json_object_and_no_work(audited):
    done = call(*SMALL, "--out", str(audited[0]), "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert (answer["command"], answer["status"], answer["run"]) == ("audit", "done", str(audited[0]))
    assert set(answer["result"]["work_done"].values()) == {0}
    assert answer["result"]["report"].endswith("report.html")
    assert "<svg" in (audited[0] / "report.html").read_text("utf-8")


def test_a_preset_fills_in_what_the_command_line_leaves_open():
    planned = json.loads(call("audit", "--tiny", "--align-sizes", "8", "--plan", "--json").stdout)["result"]["plan"]
    assert planned["rows"]["align"] == 8
    assert planned["rows"]["reverse"] == 8
    assert "0/main/8/4" in planned["cells"]


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        (["--align-sizes", "12"], "--align-sizes 16"),
        (["--seed", "1", "--seeds", "2,3"], "Give one of the two."),
        (["--reverse", "r.jsonl"], "--align"),
        (["--sede", "3"], "--seed"),
    ],
)
def test_what_cannot_hold_is_refused_before_anything_is_written(tmp_path, words, next_step):
    done = call("audit", *words, "--out", str(tmp_path / "run"), "--json")
    assert done.returncode == 2
    assert next_step in json.loads(done.stdout)["error"]["next"]
    assert not (tmp_path / "run").exists()


def reportable(path, records):
    with Run.open(path, command="audit", asked={}, identity={}) as run:
        for kind, body in records.items():
            run.append(kind, kind, body)
        return outcome.reportable(run)[0]


def test_what_a_run_s_own_checks_forbid_is_not_reportable(tmp_path):
    fine = {"scorer": {"reportable": True}, "verdict": {"reportable": True}, "accounting": {"checks": []}}
    assert reportable(tmp_path / "fine", fine)
    for kind, body in [
        ("scorer", {"reportable": False, "why": "AUC 0.5"}),
        ("verdict", {"reportable": False, "why": "degenerate"}),
        ("accounting", {"checks": [{"name": "moved", "outcome": "fail", "why": "stuck"}]}),
    ]:
        assert not reportable(tmp_path / kind, {**fine, kind: body})
