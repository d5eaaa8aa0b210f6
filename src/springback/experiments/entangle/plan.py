"""What the diagnosis will take, before anything is spent. Torch-free; the constants are those of the audit's plan."""

import os
from statistics import fmean
from typing import Any

from springback.data.choices import Choice
from springback.experiments.audit.estimate import (
    BYTES_A_TOKEN,
    READ_TOKENS,
    REFERENCE,
    TRAINED_TOKENS,
    Estimate,
    shape_of,
)
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.sources import Sources, batches
from springback.experiments.entangle.walk import steps_of
from springback.fit.memory import BYTES, LIBRARIES, SAVED_PER_LAYER, Need, Shape, adapter_parameters, gib
from springback.store.run import Run

AT_ONCE = 4
"""Answers in the network at one time: two pairs."""
WAYS = 3.0
"""Forward and backward passes a pair: inner products, the direction of the step, what it does to every answer."""


def estimate(config: Entangle, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes."""
    shape, size = shape_of(sources.model), BYTES["float64" if config.dtype == "float64" else "float32"]
    moving = shape.parameters if config.tuner == "full" else adapter_parameters(shape, config.rank)
    longest = max(_tokens(config, pair) for pair in sources.pairs)
    memory = Need(
        weights=shape.parameters * size, masters=0,
        moments=3 * moving * size if config.metric == "adam" else 0,  # v̂, a batch's gradient, and P times it
        gradients=2 * moving * size,  # the direction of a batch, and that of one of its parts
        activations=round(AT_ONCE * longest * shape.hidden * shape.layers * SAVED_PER_LAYER * size),
        logits=round(AT_ONCE * longest * shape.vocab * 2 * size),
        start_copy=(shape.parameters * size if config.reference else 0) + (4 * moving * size if config.verify else 0),
        libraries=LIBRARIES,
    )  # fmt: skip
    disk = 6_000 * len(sources.pairs) + 5_000_000
    return Estimate(memory, disk, units(config, len(sources.pairs)), _seconds(config, sources, shape), _rows(sources))


def units(config: Entangle, pairs: int, run: Run | None = None) -> dict[str, float]:
    """Units of work by kind that are left to do; all of them without a run."""
    parts = batches(pairs, config)
    steps = {f"{number}/{rate:g}" for number, rate in steps_of(config, len(parts))}
    stored = {kind: set() if run is None else set(run.keys(kind)) for kind in ("pair", "reference", "step", "tokens")}
    shown = min(pairs, 2 * config.shown)
    return {
        "pair": float(pairs - len(stored["pair"])),
        "reference": float(len(parts) - len(stored["reference"])) if config.reference else 0.0,
        "step": float(len(steps - stored["step"])),
        "tokens": float(max(0, shown - len(stored["tokens"]))),
        "matrix": float(min(config.matrix, pairs)),
    }


def stated(config: Entangle, expected: Estimate, pairs: int) -> dict[str, Any]:
    """What `run.json` says before anything is measured."""
    parts = batches(pairs, config)
    return {
        "pairs": pairs, "batches": len(parts), "order": "of the file" if config.seed == 0 else f"seed {config.seed}",
        "steps": [{"batch": number, "rate": rate} for number, rate in steps_of(config, len(parts))],
        "law": "where the step is small, at least 95 % of the signs are predicted by the directional form",
        "estimate": expected.json(), "stamp": "a random model: the figures mean nothing" if config.tiny else None,
    }  # fmt: skip


def sentence(expected: Estimate) -> str:
    """The plan in one line."""
    return (
        f"plan: {expected.units['pair']:.0f} pairs, {expected.units['step']:.0f} steps to verify by; about "
        f"{expected.seconds / 60:.1f} min, {gib(expected.memory.total)} GiB of memory, "
        f"{expected.disk_bytes / 1e6:.0f} MB of disk"
    )


def _seconds(config: Entangle, sources: Sources, shape: Shape) -> dict[str, float]:
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * 2  # float32 is half as fast
    pair = fmean(_tokens(config, pair) for pair in sources.pairs) * 2
    passed, read = scale * pair / TRAINED_TOKENS, scale * pair / READ_TOKENS
    return {
        "pair": WAYS * passed + read + 0.01, "reference": config.batch * read, "tokens": 3 * passed + 0.01,
        "step": config.batch * (passed + 2 * WAYS * passed + 2 * read) + 0.01, "matrix": 64 * passed,
    }  # fmt: skip


def _tokens(config: Entangle, pair: Choice) -> float:
    """Tokens of the longer row of a pair, about; a template adds a dozen."""
    a_token = 1.0 if config.tiny else BYTES_A_TOKEN
    prompt = sum(len(turn.content.encode()) for turn in pair.prompt)
    return (prompt + max(len(pair.chosen.encode()), len(pair.rejected.encode()))) / a_token + 12


def _rows(sources: Sources) -> dict[str, int]:
    read = sources.ledgers[0].read
    return {"rows_read": read, "rows_dropped": read - sources.ledgers[0].kept, "pairs": len(sources.pairs)}
