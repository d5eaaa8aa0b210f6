"""What `springback cycle` answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.audit.outcome import doubts, failed
from springback.stats.measured import Measured
from springback.store.run import Run

__all__ = ["doubts", "failed", "lines", "result"]


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The keys of `springback cycle`."""
    return {
        "verdict": run.get("verdict", "verdict"),
        "stages": list(run.read("stage").values()),
        "half_lives": list(run.read("half_life").values()),
        "questions": list(run.read("question").values()),
        "grid": list(run.read("cell").values()),
        "scorer": run.get("scorer", "scorer"),
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    found = run.get("verdict", "verdict") or {}
    return [
        found.get("sentence", ""), f"verdict: {found.get('label')}",
        "stage                 gain, bit/bit",
        *(f"{key:<22}{_shown(body['gain'], digits=4)}" for key, body in run.read("stage").items()),
        "half-life of, by      examples                    optimiser steps",
        *(f"{key.replace('/None', ''):<22}{_shown(body['examples']):<28}{_shown(body['steps'])}"
          for key, body in run.read("half_life").items()),
        "question                                  answer      statistic",
        *(f"{key:<42}{body['answer']:<12}{_shown(body['statistic'], digits=4)}"
          for key, body in run.read("question").items()),
        *([f"page: {report}"] if report else []),
    ]  # fmt: skip


def _shown(body: Mapping[str, Any], digits: int = 1) -> str:
    value = Measured.of(body)
    if value.estimate is None:
        return f"({value.why})"
    high = "∞" if value.high is None else f"{value.high:.{digits}f}"
    ends = f" [{value.low:.{digits}f}, {high}]" if value.low is not None else ""
    return f"{value.estimate:.{digits}f}{ends}"
