"""What the experiment will take, before anything is spent. Torch-free; the constants are those of the audit's plan."""

import os
from statistics import fmean
from typing import Any

from springback.experiments.audit.estimate import (
    BYTES_A_TOKEN,
    READ_TOKENS,
    REFERENCE,
    TRAINED_TOKENS,
    Estimate,
    shape_of,
)
from springback.experiments.resist.config import Design
from springback.experiments.resist.sources import Sources
from springback.experiments.resist.verdict import RULE
from springback.fit.memory import Shape, gib, need
from springback.store.run import Run


def estimate(design: Design, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes."""
    shape, dtype = shape_of(sources.model), design.dtype if design.dtype != "auto" else "bfloat16"
    prompt, answer = _tokens(design, sources)
    answer_most = max(answer, design.max_new_tokens)
    memory = need(
        shape, tuner=design.tuner, dtype=dtype, rank=design.rank,
        batch_tokens=round(1.3 * design.batch * (prompt + answer_most)),
        answer_tokens=round(1.3 * design.batch * answer_most),
    )  # fmt: skip
    size = 4 * shape.parameters if design.tuner == "full" else 64 * design.rank * shape.hidden * shape.layers
    disk = (len(design.seeds) * design.slices + 2) * size + 20_000_000
    return Estimate(memory, disk, units(design), _seconds(design, shape, prompt, answer), _rows(design, sources))


def units(design: Design, run: Run | None = None) -> dict[str, float]:
    """Units of work by kind that are left to do; all of them without a run."""
    done = set() if run is None else set(run.keys("cell"))
    left = [name for name in design.cells if name not in done]
    seeds = {name.partition("/")[0] for name in left}
    examples = len(seeds) * design.slices * design.slice_size + len(left) * design.steps * design.batch
    written = len(seeds) * (design.slices + 1)
    return {"example": float(examples), "write": float(written), "read": float(len(left) * len(design.readings))}


def stated(design: Design, expected: Estimate) -> dict[str, Any]:
    """What `run.json` says before anything is measured."""
    return {
        "cells": design.cells, "readings": list(design.readings), "rule": RULE, "estimate": expected.json(),
        "stamp": "a random model: the figures mean nothing" if design.tiny else None,
    }  # fmt: skip


def sentence(expected: Estimate) -> str:
    """The plan in one line."""
    return (
        f"plan: {expected.rows['trainings']} trainings of {expected.rows['steps']} steps, "
        f"{expected.units['example']:.0f} examples to train on, {expected.units['read']:.0f} readings; about "
        f"{expected.seconds / 60:.1f} min, {gib(expected.memory.total)} GiB of memory, "
        f"{expected.disk_bytes / 1e6:.0f} MB of disk while it runs"
    )


def _tokens(design: Design, sources: Sources) -> tuple[float, float]:
    a_token = 1.0 if design.tiny else BYTES_A_TOKEN
    rows = [row for part in next(iter(sources.slices.values())) for row in part]
    prompts = fmean(sum(len(turn.content.encode()) for turn in row.prompt) for row in rows) / a_token
    return prompts + 12, fmean(len(row.answer.encode()) for row in rows) / a_token + 1


def _seconds(design: Design, shape: Shape, prompt: float, answer: float) -> dict[str, float]:
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * (2 if design.dtype == "float32" else 1)
    written = design.max_new_tokens * (design.samples + design.held_out)
    return {
        "example": scale * (prompt + max(answer, design.max_new_tokens)) / TRAINED_TOKENS,
        "write": scale * 2 * written / READ_TOKENS + 0.1,
        "read": scale * 3 * design.held_out * design.max_new_tokens / READ_TOKENS + 0.05,
    }


def _rows(design: Design, sources: Sources) -> dict[str, int]:
    return {
        "examples": len(sources.data.examples), "taken": design.rows, "slice": design.slice_size,
        "prompts_to_tune_on": design.samples, "prompts_held_out": design.held_out,
        "trainings": len(design.cells), "steps": design.steps,
    }  # fmt: skip
