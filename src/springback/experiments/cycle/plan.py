"""What a cycle will take, and what it is asked, before anything is spent. Torch-free; the audit's constants."""

from statistics import fmean
from typing import Any

from springback.data.records import Example
from springback.experiments.audit.estimate import BYTES_A_TOKEN, Estimate, shape_of
from springback.experiments.audit.estimate import _dtype as dtype_of  # pyright: ignore[reportPrivateUsage]
from springback.experiments.audit.estimate import _seconds as seconds_of  # pyright: ignore[reportPrivateUsage]
from springback.experiments.audit.estimate import _tokens as tokens_of  # pyright: ignore[reportPrivateUsage]
from springback.experiments.cycle.chain import Course
from springback.experiments.cycle.config import Cycle
from springback.experiments.cycle.questions import RULE, asked
from springback.experiments.cycle.sources import Sources
from springback.fit.memory import gib, need
from springback.store.run import Run


def estimate(config: Cycle, course: Course, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes."""
    audit, shape = config.audit(), shape_of(sources.audit.start)
    prompt, answer = tokens_of(sources.audit)
    text = _text_tokens(sources)
    row, scored = max(prompt + answer, text), max(answer, text)
    memory = need(
        shape, tuner=config.tuner, dtype=dtype_of(audit), rank=config.rank,
        batch_tokens=round(1.3 * config.batch * row), answer_tokens=round(1.3 * config.batch * scored),
    )  # fmt: skip
    each = seconds_of(audit, shape, prompt, answer)
    seconds = {"example": each["example"] * max(1.0, row / (prompt + answer)), "point": each["point"]}
    return Estimate(memory, _disk(config, course, sources), units(course), seconds, _rows(config, sources))


def units(course: Course, run: Run | None = None) -> dict[str, float]:
    """Units of work by kind that are left to do; all of them without a run."""
    done = set() if run is None else set(run.keys("cell"))
    missing = [point for point in course.points() if point.id not in done]
    legs = [leg for leg in course.legs if set(missing) & set(leg.points)]
    return {"example": float(sum(leg.points[-1].size for leg in legs)), "point": float(len(missing))}


def stated(config: Cycle, course: Course, expected: Estimate) -> dict[str, Any]:
    """What `run.json` says before anything is measured."""
    return {
        "cells": [point.id for point in course.points()],
        "questions": [question.stated() for question in asked(config.arms)], "rule": RULE,
        "estimate": expected.json(), "stamp": "a random model: the figures mean nothing" if config.tiny else None,
    }  # fmt: skip


def sentence(course: Course, expected: Estimate) -> str:
    """The plan in one line."""
    return (
        f"plan: {len(course.legs)} stages, {expected.units['point']:.0f} points, {expected.units['example']:.0f} "
        f"examples to train on; about {expected.seconds / 60:.1f} min, {gib(expected.memory.total)} GiB of memory, "
        f"{expected.disk_bytes / 1e6:.0f} MB of disk while it runs"
    )


def _text_tokens(sources: Sources) -> float:
    """Mean tokens of a document of stage 1."""
    rows: tuple[Example, ...] = next(part for (_, name), part in sources.rows.items() if name == "text")
    a_token = 1.0 if sources.audit.start is None else BYTES_A_TOKEN
    return fmean(len(row.answer.encode()) for row in rows) / a_token + 1


def _disk(config: Cycle, course: Course, sources: Sources) -> int:
    """fp32 masters of the start and of each stage's end of one seed, one more while it is written; records."""
    shape = shape_of(sources.audit.start)
    size = 4 * shape.parameters if config.tuner == "full" else 64 * config.rank * shape.hidden * shape.layers
    kept = len(course.origins()) // len(course.seeds)
    return (kept + 2) * size + 500_000 * len(list(course.points()))


def _rows(config: Cycle, sources: Sources) -> dict[str, int]:
    seed = config.seeds[0]
    counts = {part: len(rows) for (of, part), rows in sources.rows.items() if of == seed}
    measured = {"measuring_pairs": config.pairs, "held_out_text": len(sources.held_out)}
    return {**counts, **measured, "truncated": 0}
