"""What a run will take, before anything is spent. Torch-free; the constants are those of the audit's plan."""

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
from springback.experiments.reward.config import Design
from springback.experiments.reward.sources import Ordered, Sources
from springback.fit.memory import BYTES, Shape, gib, need


def estimate(design: Design, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes. A prompt counts once, however many answers it has."""
    shape, dtype = shape_of(sources.model), design.dtype if design.dtype != "auto" else "bfloat16"
    tokens = _tokens(design, sources.training)
    memory = need(
        shape, tuner=design.tuner, dtype=dtype, rank=design.rank, accumulate=design.accumulate, start_copy=False,
        batch_tokens=round(1.3 * tokens * design.batch / design.accumulate), answer_tokens=1,
    )  # fmt: skip
    return Estimate(
        memory, _disk(design, shape), _units(design, sources), _seconds(design, shape, tokens), _rows(design, sources)
    )


def sentence(expected: Estimate) -> str:
    """The plan in one line."""
    return (
        f"plan: {expected.rows['steps']} steps, {expected.units['example']:.0f} rows to train on, "
        f"{expected.units['read']:.0f} to read; about {expected.seconds / 60:.1f} min, "
        f"{gib(expected.memory.total)} GiB of memory, {expected.disk_bytes / 1e6:.0f} MB of disk"
    )


def stated(design: Design, sources: Sources, expected: Estimate) -> dict[str, Any]:
    """What `run.json` says before anything is measured."""
    steps = design.steps(len(sources.training))
    return {
        "steps": steps, "readings": list(design.readings(steps)), "checkpoints": list(design.checkpoints(steps)),
        "estimate": expected.json(), "stamp": "a random model: the figures mean nothing" if design.tiny else None,
    }  # fmt: skip


def _tokens(design: Design, rows: tuple[Ordered, ...]) -> float:
    """Of a row, its prompt counted once."""
    a_token = 1.0 if design.tiny else BYTES_A_TOKEN
    prompt = fmean(sum(len(turn.content.encode()) for turn in row.ranking.prompt) / a_token + 12 for row in rows)
    answers = fmean(sum(len(text.encode()) / a_token + 1 for text in row.ranking.answers) for row in rows)
    return prompt + answers


def _units(design: Design, sources: Sources) -> dict[str, float]:
    readings = len(design.readings(design.steps(len(sources.training))))
    part = min(design.evaluate_on, len(sources.held_out)) + min(design.evaluate_on, len(sources.training))
    return {
        "example": float(design.examples(len(sources.training))),
        "read": float(readings * part + len(sources.held_out)),
    }


def _seconds(design: Design, shape: Shape, tokens: float) -> dict[str, float]:
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * (2 if design.dtype == "float32" else 1)
    return {"example": scale * tokens / TRAINED_TOKENS, "read": scale * tokens / READ_TOKENS}


def _disk(design: Design, shape: Shape) -> int:
    """The saved model in float32, and at most two checkpoints with moments at one time."""
    trained = shape.parameters if design.tuner == "full" else 16 * design.rank * shape.hidden * shape.layers
    return shape.parameters * BYTES["float32"] + 2 * 3 * BYTES["float32"] * trained + 20_000_000


def _rows(design: Design, sources: Sources) -> dict[str, int]:
    return {
        "read": sources.data.ledger.read, "usable": sources.data.ledger.kept, "training": len(sources.training),
        "held_out": len(sources.held_out), "answers": sum(len(row.ranking.answers) for row in sources.training),
        "steps": design.steps(len(sources.training)),
    }  # fmt: skip
