"""From stored curves to pairs, tests, verdict and accounting: once, when every training is stored. Torch-free."""

from typing import Any

from springback.experiments.resist.cell import curves
from springback.experiments.resist.config import Design
from springback.experiments.resist.verdict import SEEDS, Test, label, pair_body, quartets, tests
from springback.stats.measured import Measured
from springback.store.run import Run

WORDS = {
    "resists": "Going back is easier than going on, beyond what the texts explain",
    "does_not": "Going back is not easier than going on",
    "explained": "Going back is easier than going on, but no more than the texts explain",
    "inconclusive": "Not decided whether going back is easier than going on",
}


def finish(design: Design, run: Run, moved: Any = None) -> None:
    """Store what follows from the curves; nothing where it is stored already."""
    if run.get("verdict", "verdict") is not None:
        return
    pairs, cells = quartets(design, curves(run)), run.read("cell")
    found = tests(pairs)
    with run.together():
        for pair in pairs:
            run.append("pair", f"{pair.seed}/{pair.earlier}-{pair.later}", pair_body(pair, cells))
        for test in found:
            run.append("test", test.name, test.json())
        run.append("accounting", "accounting", accounting(design, run, moved))
        run.append("verdict", "verdict", {"label": label(found), "sentence": sentence(design, found)})


def sentence(design: Design, found: list[Test]) -> str:
    """The verdict in one sentence with its numbers."""
    parts = "; ".join(f"{test.name}: {shown(test.statistic)}" for test in found)
    seeds = len(design.seeds)
    of_seeds = f"over {seeds} seeds" if seeds >= SEEDS else f"over prompts, {seeds} seed{'s' * (seeds > 1)}"
    verdict = label(found)
    explained = verdict == "does_not" and found[0].outcome == "holds"
    return f"{WORDS['explained' if explained else verdict]} ({parts}, in shares of the first excess; {of_seeds})."


def shown(value: Measured) -> str:
    if value.estimate is None:
        return f"not measured, {value.why}"
    return f"{value.estimate:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"


def accounting(design: Design, run: Run, moved: Any) -> dict[str, Any]:
    """What was planned and what became of it, and which checks held."""
    done, targets = len(run.keys("cell")), run.read("target").values()
    samples = run.read("sample").values()
    checks = []
    if moved is not None:
        stuck = ", ".join(f"{one.name} ({one.why})" for one in moved.stuck[:3])
        checks.append(_check("every trainable tensor moved in the first steps", moved.ok, stuck or "all moved"))
    planned = len(design.cells)
    return {
        "cells": {"planned": planned, "done": done, "failed": 0, "skipped": planned - done},
        "samples_empty": sum(not body["answer"].strip() for body in samples),
        "samples_cut": sum(not body["ended"] for body in samples),
        "degenerate": {body["id"]: body["state"]["why"] for body in targets if body["state"]["name"] == "degenerate"},
        "checks": checks,
    }  # fmt: skip


def _check(name: str, holds: bool, why: str) -> dict[str, str]:  # noqa: FBT001
    return {"name": name, "outcome": "pass" if holds else "fail", "why": why}
