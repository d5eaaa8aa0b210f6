import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from springback.cli.main import app
from springback.stats.measured import Measured, unmeasured
from springback.store.run import Run


def share(low: float, estimate: float, high: float) -> dict[str, Any]:
    return Measured(estimate, low, high, n=48, over="pairs", unit="share of the gain").json()


def undone(
    value: dict[str, Any], *, n: int = 32, size: int | str = 128, seed: int | str = 0, arm: str = "main"
) -> dict:
    name = f"margin/undone/{arm}/{size}/{n}/{seed}"
    return {
        "name": name,
        "reading": "margin",
        "kind": "undone",
        "arm": arm,
        "seed": seed,
        "N": size,
        "n": n,
        "value": value,
    }


@pytest.fixture
def plant(tmp_path: Path):
    def plant(label: str | None = "springs_back", *shares: dict, state: str = "complete", checks=(), **verdict) -> Path:
        path = tmp_path / "run"
        with Run.open(path, command="audit", asked={}, identity={}) as run:
            run.note(model={"name": "a|<b>@c"})
            for body in shares:
                run.append("contrast", body["name"], body)
            run.append("scorer", "scorer", {"reportable": True})
            run.append("accounting", "accounting", {"checks": list(checks)})
            if label is not None:
                run.append("verdict", "verdict", {"label": label, "headline": "It is so.", "seeds": [0], **verdict})
            if state == "complete":
                run.finish("complete")
        return path

    return plant


@pytest.fixture
def ask(capfd):
    def ask(run: Path, *words: str, code: int) -> Any:
        assert app(["gate", str(run), *words, "--json"]) == code
        out = capfd.readouterr()
        body = json.loads(out.out)
        assert "Traceback" not in out.err
        return body["error"] if code == 2 else body["result"]

    return ask


@pytest.mark.parametrize(
    ("label", "fail_on", "code"),
    [
        ("springs_back", "springs_back", 4),
        ("springs_back", "springs_back,not_aligned", 4),
        ("springs_back", "not_aligned", 0),
        ("not_aligned", "springs_back,not_aligned", 4),
        ("not_aligned", "springs_back", 0),
        ("holds", "springs_back,not_aligned", 0),
        ("inconclusive", "springs_back", 3),
        ("inconclusive", "springs_back,inconclusive", 4),
    ],
)
def test_a_verdict_that_was_named_fails_and_an_open_one_never_passes(plant, ask, label, fail_on, code):
    found = ask(plant(label), "--fail-on", fail_on, code=code)
    assert found["passed"] == (code == 0)
    assert label in found["reasons"][0]
    assert found["summary"].startswith("## Springback audit")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (share(0.70, 0.94, 1.25), 4),
        (share(0.30, 0.60, 0.90), 3),
        (share(0.30, 0.40, 0.60), 3),
        (share(0.10, 0.20, 0.30), 0),
        (unmeasured("the gain includes 0").json(), 3),
    ],
)
def test_a_limit_passes_only_what_is_shown_to_be_within_it(plant, ask, value, code):
    found = ask(plant("holds", undone(value)), "--max-undone", "0.5@32", code=code)
    assert "n = 32" in found["reasons"][0]
    assert found["passed"] == (code == 0)


def test_a_failed_limit_outweighs_a_passed_verdict_and_an_open_one(plant, ask):
    run = plant("inconclusive", undone(share(0.7, 0.9, 1.2)))
    assert len(ask(run, "--fail-on", "springs_back", "--max-undone", "0.5@32", code=4)["reasons"]) == 2


def test_the_limit_is_on_the_largest_alignment_of_the_aligned_chain(plant, ask):
    good, bad = share(0.0, 0.1, 0.2), share(0.8, 0.9, 1.0)
    others = (undone(bad, size=32), undone(bad, arm="benign"), undone(bad, n=64))
    ask(plant("holds", undone(good), *others), "--max-undone", "0.5@32", code=0)


def test_of_several_seeds_the_pooled_share_counts_else_the_worst(plant, ask, tmp_path):
    good, bad = share(0.0, 0.1, 0.2), share(0.8, 0.9, 1.0)
    two = plant("holds", undone(good), undone(bad, seed=1))
    ask(two, "--max-undone", "0.5@32", code=4)
    two.rename(tmp_path / "two")
    ask(plant("holds", undone(bad), undone(good, seed="all")), "--max-undone", "0.5@32", code=0)


def test_nothing_measured_is_refused_and_never_passes(plant, ask, tmp_path):
    assert ask(tmp_path / "nowhere", "--fail-on", "springs_back", code=2)["kind"] == "run"
    partial = plant("holds", state="partial")
    assert "partial" in ask(partial, "--fail-on", "springs_back", code=2)["message"]


def test_a_run_without_a_verdict_is_refused(plant, ask):
    assert "no verdict" in ask(plant(None), "--fail-on", "springs_back", code=2)["message"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--fail-on", "spring_back"),
        ("--fail-on", ","),
        ("--max-undone", "0.5"),
        ("--max-undone", "half@32"),
        ("--max-undone", "nan@32"),
        ("--max-undone", "0.5@7"),
    ],
)
def test_a_question_that_is_none_is_refused_with_what_to_do(plant, ask, words):
    error = ask(plant("holds", undone(share(0.0, 0.1, 0.2))), *words, code=2)
    assert error["kind"] == "option"
    assert error["next"]


def test_a_run_that_must_not_be_quoted_does_not_pass_but_may_fail(plant, ask):
    checks = [{"name": "first step moved every tensor", "outcome": "fail", "why": "lm_head"}]
    run = plant("holds", checks=checks)
    assert "lm_head" in ask(run, "--fail-on", "springs_back", code=3)["reasons"][-1]
    ask(run, "--fail-on", "holds", code=4)


def test_a_verdict_that_is_not_reportable_does_not_pass(plant, ask):
    ask(plant("not_aligned", reportable=False, why="one word"), "--fail-on", "springs_back", code=3)


def test_the_summary_is_appended_and_equals_the_one_in_the_result(plant, ask, tmp_path):
    file = tmp_path / "step.md"
    file.write_text("before\n")
    found = ask(plant("holds"), "--fail-on", "springs_back", "--summary", str(file), code=0)
    assert file.read_text() == "before\n" + found["summary"]
    error = ask(tmp_path / "run", "--fail-on", "holds", "--summary", str(tmp_path / "no" / "s.md"), code=2)
    assert error["where"] == "--summary"


def test_people_read_the_answer_first(plant, capsys):
    assert app(["gate", str(plant("springs_back")), "--fail-on", "springs_back"]) == 4
    assert capsys.readouterr().out.splitlines()[0] == "gate failed"


def test_a_gate_needs_no_torch(plant):
    ask = (
        "import sys; from springback.cli.main import app; "
        f"code = app(['gate', {str(plant('holds'))!r}, '--fail-on', 'springs_back']); "
        "sys.exit(code or ('torch' in sys.modules) or ('transformers' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, check=False).returncode == 0
