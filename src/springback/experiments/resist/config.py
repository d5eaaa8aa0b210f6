"""What `springback resist` is asked, and what that comes to. Torch-free, so `--help` is quick."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED, Audit

Role = Literal["forward", "inverse", "placebo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resist:
    """The options. What is left open comes from the defaults in brackets, or from `--tiny`."""

    model: str = EMBEDDED
    """The base, a model before the slices: a directory, a hub id (`org/name@revision`) or an alias."""
    data: str | None = None
    """File of examples, or of preference pairs (their chosen answers); default: film reviews, the wanted side."""
    slices: int = 3
    """Slices of the data; θ1 … θn are the base after 1 … n of them."""
    slice_size: int | None = None
    """Examples a slice, a multiple of the batch (default: 128; with --tiny 32)."""
    samples: int | None = None
    """Answers each model writes for others to be tuned on, a multiple of the batch (default: 192; with --tiny 64)."""
    held_out: int | None = None
    """Answers each model writes to be measured on, to other prompts (default: 48; with --tiny 12)."""
    max_new_tokens: int | None = None
    """Length of a written answer, in tokens (default: 24; with --tiny 12)."""
    steps: int | None = None
    """Optimiser steps of each pair (default: once over the answers); more go round again."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the order of rows and of what is written; from three on, intervals are over seeds."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    batch: int = 16
    """Examples an optimiser step."""
    learning_rate: float | None = None
    """AdamW, constant (default: 5e-5; with --tiny 3e-4)."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute type; auto is bfloat16, with --tiny float32."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads: shows the pipeline, the figures mean nothing."""


DEFAULTS: dict[bool, dict[str, Any]] = {
    False: {"slice_size": 128, "samples": 192, "held_out": 48, "max_new_tokens": 24, "learning_rate": 5e-5},
    True: {"slice_size": 32, "samples": 64, "held_out": 12, "max_new_tokens": 12, "learning_rate": 3e-4,
           "dtype": "float32", "device": "cpu"},
}  # fmt: skip
"""By `--tiny`: what fills in the options left open."""


@dataclass(frozen=True, slots=True)
class Training:
    """One model tuned onto another one's answers."""

    seed: int
    start: int
    """Slices behind the model that is tuned; 0: the base."""
    target: int
    """Slices behind the model whose answers it is tuned on."""

    @property
    def id(self) -> str:
        return f"{self.seed}/{self.start}-{self.target}"

    @property
    def role(self) -> Role:
        return "placebo" if self.start == 0 else "forward" if self.start < self.target else "inverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The options with nothing left open; units as in `Resist`."""

    model: str
    data: str | None
    slices: int
    slice_size: int
    samples: int
    held_out: int
    max_new_tokens: int
    steps: int
    seeds: tuple[int, ...]
    tuner: Literal["full", "lora"]
    rank: int
    batch: int
    learning_rate: float
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    trust_remote_code: bool
    tiny: bool

    @property
    def readings(self) -> tuple[int, ...]:
        """Steps at which a curve is read: 0, the powers of two, the last one."""
        powers = [2**i for i in range(self.steps.bit_length())]
        return tuple(sorted({0, self.steps, *(step for step in powers if step < self.steps)}))

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(earlier, later), of the same base."""
        numbers = range(1, self.slices + 1)
        return tuple((k, later) for k in numbers for later in numbers if k < later)

    def trainings(self, seed: int) -> Iterator[Training]:
        """All of one seed, those onto one target together: from the base, from earlier and from later models."""
        for target in range(1, self.slices + 1):
            yield from (Training(seed, start, target) for start in range(self.slices + 1) if start != target)

    @property
    def cells(self) -> list[str]:
        return [training.id for seed in self.seeds for training in self.trainings(seed)]

    @property
    def rows(self) -> int:
        """Examples of the data that it takes."""
        return self.slices * self.slice_size + self.samples + self.held_out

    def audit(self) -> Audit:
        """The part of it that loading, tuning and keeping weights look at."""
        return Audit(
            model=self.model, align_sizes=(self.slices * self.slice_size,), reverse_sizes=(self.samples,),
            samples=self.held_out, max_new_tokens=self.max_new_tokens, seeds=self.seeds, tuner=self.tuner,
            rank=self.rank, batch=self.batch, learning_rate=self.learning_rate, dtype=self.dtype, device=self.device,
            trust_remote_code=self.trust_remote_code, tiny=self.tiny,
        )  # fmt: skip


def settled(asked: Resist) -> Design:
    """The design that the options ask for. RefusedError names the option that cannot hold."""
    filled = {name: value for name, value in asdict(asked).items() if value is not None and value != "auto"}
    found: dict[str, Any] = {"data": None, "dtype": "auto", "device": "auto", **DEFAULTS[asked.tiny], **filled}
    _positive(found)
    found.setdefault("steps", max(2, found["samples"] // found["batch"]))
    design = Design(**{field.name: found[field.name] for field in fields(Design)})
    _check(design)
    return design


def _positive(found: dict[str, Any]) -> None:
    least = {"slices": 2, "steps": 2, "held_out": 2, "slice_size": 1, "samples": 1, "max_new_tokens": 1, "batch": 1,
             "rank": 1}  # fmt: skip
    for name, fewest in least.items():
        if found.get(name, fewest) < fewest:
            raise refused(name, f"must be at least {fewest}, got {found[name]}")


def _check(design: Design) -> None:
    for name in ("slice_size", "samples"):
        if getattr(design, name) % design.batch:
            fit = max(design.batch, round(getattr(design, name) / design.batch) * design.batch)
            raise refused(
                name, f"must be a multiple of the batch of {design.batch}", f"--{name.replace('_', '-')} {fit}"
            )
    if not design.learning_rate > 0:
        raise refused("learning_rate", "must be greater than 0")
    if not design.seeds or len(set(design.seeds)) != len(design.seeds):
        raise refused("seeds", f"must be distinct and at least one, got {design.seeds}")
    if design.tuner == "full" and design.rank != 8:
        raise refused("rank", "has no effect on full tuning", "add --tuner lora or leave --rank out")
    if design.tiny and design.model != EMBEDDED:
        raise refused("tiny", "is a model of its own", "leave --model or --tiny out")
