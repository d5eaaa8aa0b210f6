"""What an audit answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.store.run import Run

NOTHING_DONE = {"cells": 0, "optimizer_steps": 0, "tokens_trained": 0, "tokens_forward": 0}


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback audit`."""
    return {
        "verdict": verdict(run),
        "axes": run.read("axis"),
        "scorer": run.get("scorer", "scorer"),
        "grid": list(run.read("cell").values()),
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def verdict(run: Run) -> dict[str, Any] | None:
    """The verdict with its tests."""
    body = run.get("verdict", "verdict")
    return None if body is None else {**body, "tests": list(run.read("test").values())}


def reportable(run: Run) -> tuple[bool, str]:
    """Whether the run's own checks let its result be quoted, and if not, why."""
    scorer = run.get("scorer", "scorer") or {}
    if not scorer.get("reportable", False):
        return False, scorer.get("why") or "the scorer cannot tell wanted from opposite"
    found = run.get("verdict", "verdict") or {}
    if not found.get("reportable", True):
        return False, found.get("why") or "the aligned model no longer answers"
    why = failed(run)
    return not why, why


def failed(run: Run) -> str:
    """The run's own checks that did not hold, in words; empty where all did."""
    checks = (run.get("accounting", "accounting") or {}).get("checks", [])
    return "; ".join(f"{check['name']}: {check['why']}" for check in checks if check["outcome"] == "fail")


def doubts(run: Run) -> list[str]:
    """What to know beside the figures of a run that names the models which no longer answer."""
    found = (run.get("accounting", "accounting") or {})["degenerate"]
    return [f"what model {name} writes is degenerate: {why}" for name, why in found.items()]


def cautions(run: Run) -> list[str]:
    """What to know of the ways of tuning beside the figures."""
    found = (run.meta.get("plan") or {}, run.get("accounting", "accounting") or {})
    return [caution for each in found for caution in each.get("cautions", [])]


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end of an audit."""
    found = verdict(run) or {}
    fine, why = reportable(run)
    return [
        found.get("headline", "no verdict"),
        f"verdict: {found.get('label')}",
        found.get("sentence", ""),
        *([] if fine else [f"not reportable: {why}"]),
        *([f"page: {report}"] if report else []),
    ]
