"""From a laboratory to a finished run: the fixed records, the grid, the analysis, the accounting."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from springback.data.records import Dataset
from springback.experiments.audit.analyse import analyse
from springback.experiments.audit.audit import audit
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.audit.estimate import Estimate
from springback.experiments.audit.grid import Grid
from springback.experiments.audit.laboratory import ModelLaboratory
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.readings import Readings, shape_of
from springback.experiments.audit.tests_planned import as_json, tests_planned
from springback.experiments.audit.thresholds import stated
from springback.experiments.audit.ways import told
from springback.experiments.audit.workbench import Prepared
from springback.fit.checks import STEPS
from springback.store.run import Run
from springback.train.tuning.choose import tuning

PAPERS = ("ji2024elasticity", "qi2024shallow", "lin2023unlocking", "hesterberg2015", "holm1979")
"""What every audit stands on."""
DATA = ("base", "align", "reverse", "align_mix", "reverse_mix", "reversal_data", "align_with", "reverse_with")
"""Options that make it another question, whatever its sizes."""


def papers(config: Audit, dataset: Dataset) -> list[str]:
    """Keys of what this run used, for `springback cite`."""
    used = [*PAPERS, *([dataset.paper] if dataset.paper else [])]
    if config.layers != "none":
        used += ["ferrando2024primer", "heimersheim2024patching"]
    if config.trains:
        used += ["ouyang2022instructgpt", "loshchilov2019adamw", *(["hu2022lora"] if config.tuner == "lora" else [])]
    if config.trains:
        ways = (tuning(config.align_with, option="--align-with"), tuning(config.reverse_with))
        found = [getattr(way, "paper", None) for way in ways]
        used += dict.fromkeys(paper.key for paper in found if paper is not None)
    return [*used, *(["allal2025smollm2"] if config.model == EMBEDDED and not config.tiny else [])]


def plan(config: Audit, grid: Grid, expected: Estimate) -> dict[str, Any]:
    """What is stated in `run.json` before anything is measured."""
    cells = [point.id for point in grid.points()]
    return {
        "cells": cells, "tests": as_json(tests_planned(shape_of(cells))), "thresholds": stated(),
        "estimate": expected.json(), "command": command(config),
        "stamp": "a random model: the figures mean nothing" if config.tiny else None, "cautions": told(config),
    }  # fmt: skip


def command(config: Audit) -> str:
    """How this audit was asked for, less its seeds: what a reader types to ask again."""
    words = ["springback audit"]
    if config.tiny:
        words.append("--tiny")
    elif config.model != Audit().model:
        words.append(config.model)
    default = Audit()
    told = [name for name in DATA if getattr(config, name) != getattr(default, name)]
    return " ".join([*words, *(f"--{name.replace('_', '-')} {getattr(config, name)}" for name in told)])


def fixed_records(run: Run, prepared: Prepared, dataset: Dataset, config: Audit, pairs: Any) -> None:
    """Scorer, data and held-out pairs: known before the first point, stored once."""
    if run.get("data", "data") is not None:
        return
    with run.together():
        run.append("data", "data", dataset.json())
        run.append("scorer", "scorer", prepared.scorer.json())
        for index, pair in enumerate(pairs[: max(config.pairs, config.samples)]):
            body = {"index": index, "prompt": pair.prompt[-1].content, "wanted": pair.wanted,
                    "opposite": pair.opposite, "where": list(pair.where)}  # fmt: skip
            run.append("held_out", str(index), body)


def measure(run: Run, config: Audit, grid: Grid, lab: ModelLaboratory, progress: Progress) -> None:
    """Walk the grid, then analyse; what was stored before is not done again."""
    for _ in audit(grid, run, lab, progress):
        pass
    if run.get("verdict", "verdict") is not None:
        return
    readings = Readings.from_records(run.read, run.meta["plan"])
    with run.together():
        for kind, key, body in analyse(readings):
            run.append(kind, key, body)
        run.append("accounting", "accounting", accounting(run, config, grid, lab))


def accounting(run: Run, config: Audit, grid: Grid, lab: ModelLaboratory) -> dict[str, Any]:
    """What was planned and what became of it; what was supervised; which checks held."""
    done = len(run.keys("cell"))
    planned = len(list(grid.points()))
    rows = {row for rows in lab.rows.values() for row in rows} if grid.chains else set()
    supervised = sum(len(row.answer) for row in rows)
    moved = lab.weights.moved
    empty = sum(not body["answer"].strip() for body in run.read("sample").values())
    return {
        "cells": {"planned": planned, "done": done, "failed": 0, "skipped": planned - done},
        "tokens": {"supervised": supervised, "truncated": 0, "masked": sum(len(row.prompt) for row in rows)},
        "samples_empty": empty,
        "training": None if moved is None else {
            "tensors_total": moved.tensors_total, "tensors_moved": moved.moved,
            "stuck": [asdict(one) for one in moved.stuck], "watched_steps": moved.steps, "needed": STEPS[config.tuner],
        },
        "checks": list(checks(run, grid, lab)), "cautions": list(unheard(run)),
    }  # fmt: skip


def unheard(run: Run) -> Iterator[str]:
    """A sentence where a chain that wrote its own answers learnt nothing from most of its prompts."""
    wrote = {key: body for key, cell in run.read("cell").items() if (body := cell.get("written")) is not None}
    deaf = {key: body for key, body in wrote.items() if 2 * body["silent"] > body["prompts"]}
    if deaf:
        key, worst = max(deaf.items(), key=lambda each: (each[1]["silent"] / each[1]["prompts"], each[1]["prompts"]))
        yield (
            f"In {len(deaf)} of {len(wrote)} cells tuned on their own answers most prompts taught nothing: all answers "
            f"to one had the same reward (cell {key}: {worst['silent']} of {worst['prompts']} prompts)."
        )


def checks(run: Run, grid: Grid, lab: ModelLaboratory) -> list[dict[str, str]]:
    """What must hold for the run to be quoted."""
    found = []
    cells = run.read("cell")
    away = [cells[point.id] for point in grid.starts if point.arm == "main"]
    exact = all(cell["kl_from_start"]["estimate"] == cell["kl_to_start"]["estimate"] == 0 for cell in away)
    found.append(_check("cell (0, 0) equals the untouched model exactly", exact, "KL both ways is exactly 0"))
    moved = lab.weights.moved
    if grid.chains and moved is not None:
        stuck = ", ".join(f"{one.name} ({one.why})" for one in moved.stuck[:3])
        found.append(_check("every trainable tensor moved in the first steps", moved.ok, stuck or "all moved"))
    steps = [cell["reverse"]["steps"] for cell in cells.values() if cell["phase"] == "reversed"]
    if steps:
        found.append(_check("no reversed cell of zero optimiser steps", min(steps) > 0, f"fewest: {min(steps)}"))
    return found


def _check(name: str, holds: bool, why: str) -> dict[str, str]:  # noqa: FBT001
    return {"name": name, "outcome": "pass" if holds else "fail", "why": why}


def facts(prepared: Prepared, config: Audit) -> Mapping[str, Any]:
    """What `run.json` says of the models."""
    start, given = prepared.models.start, prepared.models.given
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    model = {name: getattr(start, name) for name in told}
    other = None if given is None else {name: getattr(given, name) for name in told}
    return {"model": {**model, "template": start.template, "tuner": config.tuner}, "given": other}
