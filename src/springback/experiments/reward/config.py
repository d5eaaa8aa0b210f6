"""What `springback reward` is asked, and what that comes to. Torch-free, so `--help` is quick."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED, Audit

READINGS = 8
"""Readings of a run that does not say how many, beside the one before the first step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The options. What is left open comes from the defaults in brackets, or from `--tiny`."""

    model: str = EMBEDDED
    """Where to begin: a language model or a reward model; a directory, a hub id (`org/name@revision`) or an alias."""
    loss: str = "bradley_terry"
    """bradley_terry, margin, plackett_luce, rank_net, lambda_rank, list_mle or list_net, with options as in
    `margin:scale=0.5` and for any of them `centring=0.01`."""
    held_out: str = "0.2"
    """What is measured on and never trained on: a share of the prompts (0.2), a number of rows (200), or a file."""
    epochs: float = 1.0
    """Times over the training rows; the last step may be smaller than the others."""
    batch: int = 16
    """Prompts an optimiser step, each with all its answers."""
    accumulate: int = 1
    """Micro-batches that a step's batch is cut into; saves memory, changes nothing but rounding."""
    learning_rate: float | None = None
    """AdamW, constant after the warm-up (default: 2e-5, with LoRA 2e-4; with --tiny 1e-3)."""
    warmup_steps: int = 0
    """Steps of linear warm-up, by step index."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`); the scalar head is trained in full either way."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    seed: int = 0
    """Of the head's and an adapter's first values and of the order of rows; which rows are held out does not change."""
    evaluate_every: int | None = None
    """Optimiser steps between two readings (default: eight readings in all)."""
    evaluate_on: int = 128
    """Most held-out rows, and most training rows, of a reading along the way; the last one reads all held-out rows."""
    checkpoint_every: int | None = None
    """Optimiser steps between two checkpoints, from which a stopped run goes on (default: a tenth, at least 10)."""
    too_long: Literal["refuse", "drop"] = "refuse"
    """What becomes of a row that the model's context does not hold: nothing is cut."""
    score_field: str | None = None
    """Name of the score in rows of several answers, where it is not one of the usual ones."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16, with --tiny float32. Scores are float32, the saved weights too."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""


RATES = {"full": 2e-5, "lora": 2e-4}
"""By tuner."""
TINY: dict[str, Any] = {"learning_rate": 1e-3, "dtype": "float32", "device": "cpu"}
"""What `--tiny` puts where an option was left open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The options with nothing left open but what the data decides; units as in `Reward`."""

    data: str | None
    """None: the matched pairs that come with Springback (film reviews, with `--tiny` toy sentences)."""
    model: str
    loss: str
    held_out: str
    epochs: float
    batch: int
    accumulate: int
    learning_rate: float
    warmup_steps: int
    tuner: Literal["full", "lora"]
    rank: int
    seed: int
    evaluate_every: int | None
    evaluate_on: int
    checkpoint_every: int | None
    too_long: Literal["refuse", "drop"]
    score_field: str | None
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    trust_remote_code: bool
    tiny: bool

    def steps(self, rows: int) -> int:
        """Optimiser steps over so many training rows."""
        return -(-round(self.epochs * rows) // self.batch)

    def examples(self, rows: int) -> int:
        """Rows that are trained on, each as often as it is taken."""
        return round(self.epochs * rows)

    def readings(self, steps: int) -> tuple[int, ...]:
        """Numbers of steps after which the model is read; 0 and the last one are among them."""
        every = self.evaluate_every or max(1, -(-steps // READINGS))
        return tuple(sorted({*range(0, steps, every), steps}))

    def checkpoints(self, steps: int) -> tuple[int, ...]:
        """Numbers of steps after which everything is kept; the last one is among them."""
        every = self.checkpoint_every or max(10, -(-steps // 10))
        return tuple(sorted({*range(every, steps, every), steps}))

    def audit(self) -> Audit:
        """The part of it that finding and loading models look at."""
        return Audit(
            model=self.model, tuner=self.tuner, rank=self.rank, batch=self.batch, learning_rate=self.learning_rate,
            align_sizes=(self.batch,), reverse_sizes=(self.batch,), dtype=self.dtype, device=self.device,
            trust_remote_code=self.trust_remote_code, tiny=self.tiny,
        )  # fmt: skip


def settled(asked: Reward, data: str | None) -> Design:
    """The design that the options ask for. RefusedError names the option that cannot hold."""
    filled = {name: value for name, value in asdict(asked).items() if value is not None and value != "auto"}
    tiny = TINY if asked.tiny else {}
    found: dict[str, Any] = {**asdict(asked), "learning_rate": RATES[asked.tuner], **tiny, **filled, "data": data}
    design = Design(**{field.name: found[field.name] for field in fields(Design)})
    _check(design)
    return design


def _check(design: Design) -> None:
    least: dict[str, int] = {"batch": 1, "accumulate": 1, "warmup_steps": 0, "rank": 1, "evaluate_on": 1,
                             "evaluate_every": 1, "checkpoint_every": 1}  # fmt: skip
    for name, fewest in least.items():
        if (given := getattr(design, name)) is not None and given < fewest:
            raise refused(name, f"must be at least {fewest}, got {given}")
    for name in ("epochs", "learning_rate"):
        if not 0 < getattr(design, name) < float("inf"):
            raise refused(name, f"must be a number greater than 0, got {getattr(design, name)}")
    if design.batch % design.accumulate:
        raise refused("accumulate", f"must divide the batch of {design.batch}, got {design.accumulate}")
    if design.tuner == "full" and design.rank != 8:
        raise refused("rank", "has no effect on full tuning", "add --tuner lora or leave --rank out")
    if design.tiny and design.model != EMBEDDED:
        raise refused("tiny", "is a model of its own", "leave --model or --tiny out")
