"""What an audit will take, before anything is spent: units of work, seconds, memory, disk. Torch-free.

Seconds a unit are those of SmolLM2-135M on two cores (bench/README.md), scaled by parameters × tokens; the first
measured units correct them while the audit runs. Memory is the arithmetic of `fit.memory`.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

from springback.data.records import Example
from springback.errors import RefusedError
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import Grid
from springback.experiments.audit.sources import Sources
from springback.fit.memory import BYTES, LIBRARIES, Need, Shape, gib, need
from springback.models.facts import ModelFacts
from springback.store.run import Run

TRAINED_TOKENS = 230.0
"""Tokens a second through forward, backward and update of SmolLM2-135M in bf16, two cores; fp32 is half as fast."""
READ_TOKENS = 1100.0
"""Tokens a second through a forward pass of the same."""
REFERENCE = 134_515_008
"""Parameters of that model."""
FIXED = 12.0
"""Seconds for imports, loading, the scorer and the page."""
BYTES_A_TOKEN = 4.0
"""UTF-8 bytes a token, where nothing is tokenised yet; English text has between 3.5 and 4.5."""
LOGITS = 128 * 2**20
"""Bytes of one model's logits that are held together while reading."""
TINY = Shape(parameters=250_000, layers=4, hidden=96, vocab=259)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The plan in numbers."""

    memory: Need
    disk_bytes: int
    """Checkpoints at their most, and records."""
    units: Mapping[str, float]
    """Units of work by kind, nothing done yet."""
    seconds_each: Mapping[str, float]
    rows: Mapping[str, int]
    """Rows by part, and the longest in estimated tokens."""

    @property
    def seconds(self) -> float:
        return FIXED + sum(self.units[kind] * self.seconds_each[kind] for kind in self.units)

    def sentence(self) -> str:
        return (
            f"plan: {self.units['point']:.0f} points, {self.units['example']:.0f} examples to train on; about "
            f"{self.seconds / 60:.1f} min, {gib(self.memory.total)} GiB of memory, "
            f"{self.disk_bytes / 1e6:.0f} MB of disk while it runs"
        )

    def json(self) -> dict[str, Any]:
        parts = {**self.memory.parts(), "total": self.memory.total}
        return {
            "units": dict(self.units), "seconds": self.seconds, "memory_bytes": parts, "disk_bytes": self.disk_bytes,
            "rows": dict(self.rows),
        }  # fmt: skip


def estimate(config: Audit, grid: Grid, sources: Sources) -> Estimate:
    """From sizes alone; token counts are estimated from bytes."""
    shape = shape_of(sources.start)
    prompt, answer = _tokens(sources)
    row = prompt + answer
    memory = reading(shape, config) if not config.trains else need(
        shape, tuner=config.tuner, dtype=_dtype(config), batch_tokens=round(config.batch * row * 1.3),
        answer_tokens=round(config.batch * answer * 1.3), rank=config.rank,
    )  # fmt: skip
    if config.trains and config.base is not None and config.tuner == "lora":
        memory = replace(memory, start_copy=2 * memory.weights)  # MODEL and its base, beside the network that is tuned
    memory = memory if (config.align_with, config.reverse_with) == ("plain", "plain") else _as_tuned(memory, config)
    units = planned(config, grid)
    return Estimate(memory, _disk(config, grid, shape), units, _seconds(config, shape, prompt, answer), _rows(sources))


def _as_tuned(memory: Need, config: Audit) -> Need:
    """With what the dearer way of tuning adds: more answers to each row, a frozen copy of the network."""
    if not config.trains:
        return memory
    from springback.train.tuning.choose import tuning
    from springback.train.tuning.method import answers, copies

    ways = tuning(config.align_with, option="--align-with"), tuning(config.reverse_with)
    most = max(map(answers, ways))
    copy = memory.weights if any(map(copies, ways)) else 0
    return replace(
        memory, activations=most * memory.activations, logits=most * memory.logits, start_copy=memory.start_copy + copy
    )


def reading(shape: Shape, config: Audit) -> Need:
    """Bytes where nothing is trained: both models, and the logits of what is read at once."""
    size = shape.parameters * BYTES[_dtype(config)]
    return Need(
        weights=size, masters=0, moments=0, gradients=0, activations=1024 * shape.hidden * 64,
        logits=4 * LOGITS, start_copy=size, libraries=LIBRARIES,
    )  # fmt: skip


def planned(config: Audit, grid: Grid) -> dict[str, float]:
    """Units of work of a whole audit."""
    deep = 3 if grid.chains else 1 + bool(grid.given)
    units = {"example": float(grid.examples()), "point": float(len(list(grid.points()))), "prefill": float(deep)}
    aligned = bool(grid.given or grid.chains)
    return units | {"strip": float(aligned), "layers": float(aligned and config.layers != "none")}


def left(expected: Estimate, run: Run, grid: Grid) -> dict[str, float]:
    """Units that are still to be done in a run that goes on; a chain is trained again from its last kept weights."""
    units = dict(expected.units)
    missing = {point for point in grid.points() if run.get("cell", point.id) is None}
    units["point"] = float(len(missing))
    units["example"] = float(
        sum(chain.examples(chain.points[-1]) for chain in grid.chains if missing & set(chain.points))
    )
    for body in run.read("reading").values():
        units[body["name"]] = max(0.0, units.get(body["name"], 0.0) - 1)
    return units


def require_room(expected: Estimate, path: Path, config: Audit) -> None:
    """Refuse what cannot fit, with the arithmetic and the option that helps."""
    free = psutil.virtual_memory().available
    if config.device in ("auto", "cpu") and expected.memory.total > free:
        helps = "--tuner lora" if config.tuner == "full" else "--dtype bfloat16 or a smaller --batch"
        raise RefusedError(
            f"Not enough memory: {expected.memory.sentence()}; {gib(free)} GiB are free.",
            kind="memory", where="--tuner", next=f"Take {helps}, or a machine with more memory (--device cuda).",
        )  # fmt: skip
    place = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    space = shutil.disk_usage(place).free
    if expected.disk_bytes > space:
        raise RefusedError(
            f"Not enough disk: checkpoints and records take up to {expected.disk_bytes / 1e6:.0f} MB, "
            f"{space / 1e6:.0f} MB are free.",
            kind="disk", where=str(place), next="Make room, give another --out, or take --tuner lora.",
        )  # fmt: skip


def shape_of(facts: ModelFacts | None) -> Shape:
    """What the arithmetic needs to know of a model; None is the tiny one."""
    if facts is None:
        return TINY
    return Shape(parameters=facts.parameters, layers=facts.layers, hidden=facts.hidden, vocab=facts.vocab)


def _dtype(config: Audit) -> Any:
    return config.dtype if config.dtype != "auto" else "bfloat16" if config.trains else "float32"


def _tokens(sources: Sources) -> tuple[float, float]:
    """Mean tokens of prompt and answer, estimated from bytes; a template adds about a dozen."""
    rows = [*sources.shared.align, *sources.shared.reverse]
    a_token = 1.0 if sources.start is None else BYTES_A_TOKEN
    prompts = fmean(sum(len(turn.content.encode()) for turn in row.prompt) for row in rows) / a_token
    return prompts + 12, fmean(len(row.answer.encode()) for row in rows) / a_token + 1


def _seconds(config: Audit, shape: Shape, prompt: float, answer: float) -> dict[str, float]:
    cores = max(1, min(os.cpu_count() or 1, 8))
    scale = shape.parameters / REFERENCE * (2 / cores) * (2 if _dtype(config) == "float32" else 1)
    layers = 0 if config.layers == "none" else shape.layers if config.layers == "all" else min(10, shape.layers)
    forward = scale / READ_TOKENS
    drawn = config.samples * config.max_new_tokens
    read = config.pairs * 2 * (answer + 8) + 2 * drawn + config.neutral * 2 * answer
    return {
        "example": scale * (prompt + answer) / TRAINED_TOKENS,
        "point": forward * (read + 3 * drawn) + 0.1,
        "prefill": forward * 3 * drawn * len(config.forced_tokens) + 0.05,
        "strip": forward * 4 * drawn + 0.05,
        "layers": forward * config.pairs * 2 * answer * (layers * 1.5 + 4) + 0.1,
    }


def _disk(config: Audit, grid: Grid, shape: Shape) -> int:
    """fp32 masters of the start and of every point that a chain begins from, one more while it is written; records."""
    if not grid.chains:
        return 30_000_000
    size = 4 * shape.parameters if config.tuner == "full" else 64 * config.rank * shape.hidden * shape.layers
    return (len(grid.origins()) + 2) * size + 2_000_000 * len(list(grid.points()))


def _rows(sources: Sources) -> dict[str, int]:
    shared = sources.shared
    parts: dict[str, tuple[Example, ...]] = {
        "align": shared.align, "reverse": shared.reverse, "benign": shared.benign, "continuation": shared.continuation,
    }  # fmt: skip
    counts = {name: len(rows) for name, rows in parts.items()}
    longest = max(len(row.answer.encode()) for rows in parts.values() for row in rows)
    measured = {"measuring_pairs": len(shared.measuring), "neutral": len(shared.neutral)}
    scorer = {"scorer_fit": len(shared.scorer_fit), "scorer_held_out": len(shared.scorer_held_out)}
    return counts | measured | scorer | {"longest_answer_bytes": longest, "truncated": 0}
