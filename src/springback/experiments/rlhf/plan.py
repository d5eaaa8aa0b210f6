"""What the training will take, before anything is spent. Torch-free; the constants are those of the audit's plan."""

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
from springback.experiments.rlhf.alarm import THRESHOLDS
from springback.experiments.rlhf.config import Design
from springback.experiments.rlhf.sources import Sources
from springback.fit.memory import gib, need
from springback.store.run import Run

WRITTEN_TOKENS = 60.0
"""Tokens a second of SmolLM2-135M in bfloat16 that writes batches of 16 and more answers on two cores."""


def estimate(design: Design, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes, every answer counts as of the longest length."""
    shape, dtype = shape_of(sources.model), design.dtype if design.dtype != "auto" else "bfloat16"
    prompt = _prompt_tokens(design, sources)
    memory = need(
        shape, tuner=design.tuner, dtype=dtype, rank=design.rank, accumulate=2 if design.batch > design.at_once else 1,
        batch_tokens=round(min(design.at_once, design.batch) * (prompt + design.max_new_tokens)),
        answer_tokens=min(design.at_once, design.batch) * design.max_new_tokens,
    )  # fmt: skip
    size = 12 * shape.parameters if design.tuner == "full" else 200 * design.rank * shape.hidden * shape.layers
    disk = 2 * size + 4 * shape.parameters + design.steps * design.batch * (design.max_new_tokens * 20 + 2_000)
    return Estimate(memory, disk, units(design, sources), _seconds(design, sources, prompt), _rows(design, sources))


def units(design: Design, sources: Sources, run: Run | None = None) -> dict[str, float]:
    """Units of work by kind that are left to do; all of them without a run."""
    done = 0 if run is None else len(run.keys("step"))
    readings = 0 if run is None else len(run.keys("reading"))
    left = float(design.steps - done)
    return {"write": left, "learn": left, "read": (2.0 - readings) if sources.held_out else 0.0}


def stated(design: Design, expected: Estimate) -> dict[str, Any]:
    """What `run.json` says before anything is measured."""
    return {
        "steps": design.steps, "updates_a_step": design.updates, "answers_a_step": design.batch,
        "alarm": THRESHOLDS, "estimate": expected.json(),
        "stamp": "a random model: the figures mean nothing" if design.tiny else None,
    }  # fmt: skip


def sentence(expected: Estimate) -> str:
    """The plan in one line."""
    rows = expected.rows
    return (
        f"plan: {rows['steps']} steps of {rows['answers_a_step']} answers to {rows['prompts_a_step']} prompts; about "
        f"{expected.seconds / 60:.1f} min where every answer takes its full length, {gib(expected.memory.total)} GiB "
        f"of memory, {expected.disk_bytes / 1e6:.0f} MB of disk; rewards come on top"
    )


def _prompt_tokens(design: Design, sources: Sources) -> float:
    a_token = 1.0 if design.tiny else BYTES_A_TOKEN
    return 12 + fmean(sum(len(turn.content.encode()) for turn in row.prompt) for row in sources.file.rows) / a_token


def _seconds(design: Design, sources: Sources, prompt: float) -> dict[str, float]:
    shape = shape_of(sources.model)
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * (2 if design.dtype == "float32" else 1)
    written = design.batch * design.max_new_tokens
    seen = written + design.prompts_per_step * prompt
    passes = 1 + (design.updates > 1)
    return {
        "write": scale * written / WRITTEN_TOKENS / 4 + 0.05,
        "learn": scale * (design.passes * seen / TRAINED_TOKENS + passes * seen / READ_TOKENS) + 0.05,
        "read": scale * len(sources.held_out) * design.max_new_tokens / WRITTEN_TOKENS / 4 + 0.05,
    }


def _rows(design: Design, sources: Sources) -> dict[str, int]:
    return {
        "prompts": len(sources.file.rows), "trained_on": len(sources.training), "held_out": len(sources.held_out),
        "steps": design.steps, "prompts_a_step": design.prompts_per_step, "answers_a_step": design.batch,
        "answers": design.steps * design.batch, "updates": design.steps * design.updates,
    }  # fmt: skip
