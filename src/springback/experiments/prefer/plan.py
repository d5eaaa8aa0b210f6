"""What the training will take, before anything is spent. Torch-free; the constants are those of the audit's plan."""

import os
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from springback.data.choices import Choice, Ranking, Row
from springback.data.records import Prompt
from springback.experiments.audit.estimate import (
    BYTES_A_TOKEN,
    READ_TOKENS,
    REFERENCE,
    TRAINED_TOKENS,
    Estimate,
    shape_of,
)
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.filters import filter_named
from springback.experiments.prefer.offers import Resolved
from springback.experiments.prefer.sources import Sources
from springback.fit.memory import BYTES, Shape, gib, need
from springback.store.run import Run

WARNING = (
    "the first reading at which the mean log-probability of held-out chosen answers is below the reference's by more "
    "than its 95 % interval over answers"
)
KEEPING_SIGNALS = ("normalised", "calibrated")
"""Cures in whose step every answer stands behind a prompt of its own, and signals are kept beside the activations."""
LOGITS = 128 * 2**20
"""Bytes of logits that readings hold for the KL."""


def estimate(design: Design, sources: Sources, way: Resolved) -> Estimate:
    """From sizes alone; token counts are estimated from bytes."""
    shape, dtype = shape_of(sources.model), design.dtype if design.dtype != "auto" else "bfloat16"
    prompt, answers = _tokens(design, sources.train)
    micro = -(-design.batch // design.accumulate)
    signals = design.cure.partition(":")[0] in KEEPING_SIGNALS
    tokens = 2 * prompt + answers if signals else prompt + answers
    memory = need(
        shape, tuner=design.tuner, dtype=dtype, rank=design.rank, accumulate=design.accumulate, start_copy=False,
        batch_tokens=round(1.3 * micro * tokens * (2 if signals else 1)), answer_tokens=round(1.3 * micro * answers),
    )  # fmt: skip
    copies = (way == "model") or design.reference is not None
    memory = replace(memory, start_copy=shape.parameters * BYTES[dtype] * copies, logits=memory.logits + LOGITS)
    each = 12 * shape.parameters if design.tuner == "full" else 3 * 64 * design.rank * shape.hidden * shape.layers
    saved = shape.parameters * BYTES[dtype] if design.tuner == "full" else each // 3
    disk = 2 * each + saved + 20_000_000
    products = design.products(design.total(len(sources.train)))
    seconds = _seconds(design, shape, prompt, answers, products)
    return Estimate(memory, disk, units(design, sources, way), seconds, _rows(design, sources))


def units(design: Design, sources: Sources, way: Resolved, run: Run | None = None) -> dict[str, float]:
    """Units of work by kind that are left to do; all of them without a run."""
    total = design.total(len(sources.train))
    done, read = (0, 0) if run is None else (len(run.keys("step")), len(run.keys("read")))
    computed = way == "precomputed" and not done
    return {
        "step": float(total - done), "read": float(len(design.readings(total)) - read + 1),
        "reference": float(computed and min(design.total(len(sources.train)), -(-len(sources.train) // design.batch))),
        "filter": float(_unfiltered(design, sources, run) / design.batch),
    }  # fmt: skip


def stated(design: Design, sources: Sources, way: Resolved, expected: Estimate) -> dict[str, Any]:
    """What `run.json` says before anything is trained."""
    total = design.total(len(sources.train))
    return {
        "steps": total, "readings": list(design.readings(total)), "reference": way, "warning": WARNING,
        "filter": design.filter and f"{design.filter}: measures every pair first, then there may be fewer steps",
        "ledgers": [ledger.json() for ledger in sources.ledgers], "estimate": expected.json(),
        "stamp": "a random model: the figures mean nothing" if design.tiny else None,
    }  # fmt: skip


def sentence(expected: Estimate) -> str:
    """The plan in one line."""
    return (
        f"plan: {expected.rows['steps']} steps over {expected.rows['train']} rows, {expected.rows['held_out']} held "
        f"out; about {expected.seconds / 60:.1f} min, {gib(expected.memory.total)} GiB of memory, "
        f"{expected.disk_bytes / 1e6:.0f} MB of disk while it runs"
    )


def _tokens(design: Design, rows: Sequence[Row]) -> tuple[float, float]:
    """Mean tokens of a row's prompt and of all its answers together; a template adds about a dozen."""
    a_token = 1.0 if design.tiny else BYTES_A_TOKEN
    prompts = fmean(_bytes(row.prompt) for row in rows) / a_token
    return prompts + 12, fmean(sum(len(text.encode()) / a_token + 1 for text in _answers(row)) for row in rows)


def _bytes(prompt: Prompt) -> int:
    return sum(len(turn.content.encode()) for turn in prompt)


def _answers(row: Row) -> tuple[str, ...]:
    if isinstance(row, Choice):
        return row.chosen, row.rejected
    return row.answers if isinstance(row, Ranking) else (row.answer,)


def _seconds(design: Design, shape: Shape, prompt: float, answers: float, products: int) -> dict[str, float]:
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * (2 if design.dtype == "float32" else 1)
    row = prompt + answers
    return {
        "step": scale * design.batch * row / TRAINED_TOKENS,
        "read": scale * (2 * design.read_pairs * (row + prompt) / READ_TOKENS + 2 * products * row / TRAINED_TOKENS)
        + 0.1,
        "reference": scale * design.batch * row / READ_TOKENS,
        "filter": scale * design.batch * row * (1 / READ_TOKENS + 2 * _products(design) / TRAINED_TOKENS),
    }


def _unfiltered(design: Design, sources: Sources, run: Run | None) -> int:
    """Pairs that a filter has still to measure."""
    if design.filter is None:
        return 0
    return max(0, len(sources.train) - (len(run.keys("filter")) if run else 0))


def _products(design: Design) -> bool:
    return design.filter is not None and filter_named(design.filter).name == "product"


def _rows(design: Design, sources: Sources) -> dict[str, int]:
    longest = max(_bytes(row.prompt) + max(len(text.encode()) for text in _answers(row)) for row in sources.train)
    return {
        "train": len(sources.train), "held_out": len(sources.held_out), "steps": design.total(len(sources.train)),
        "longest_bytes": longest, "truncated": 0,
    }  # fmt: skip
