"""What the study is asked: axes, and each combination a preference training of its own. Torch-free."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED
from springback.experiments.prefer.config import Design, Prefer, settled
from springback.store.options import rejoined

NONE: Final = "none"
FILM: Final = "film"
CONTROLLED: Final = ("one_token", "short_suffix", "long_suffix")
"""Data sets whose overlap is controlled (`study.controlled`), least of it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The axes, and the options that all trainings share. Field docstrings are the help of the command line."""

    data: tuple[str, ...] = (*CONTROLLED, FILM)
    """one_token, short_suffix, long_suffix (made: all tokens but one agree), film, or files of pairs."""
    losses: tuple[str, ...] = ("dpo", "ipo", "simpo", "dpop")
    """Losses of pairs; the first one is what cures stand before. Spelled as --loss of `springback prefer`."""
    cures: tuple[str, ...] = (NONE, "normalised", "normalised:inner=adam", "anchor")
    """Cures, `none` among them; spelled as --cure of `springback prefer`."""
    grid: Literal["star", "full"] = "star"
    """Star: every loss without a cure, every cure before the first loss. Full: every loss with every cure."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the order of rows (and of LoRA's first values); from three on, intervals are over seeds."""
    pairs: int = 16
    """Training pairs of each data set at most."""
    held_out: int = 16
    """Held-out pairs of each data set at most."""
    steps: int = 6
    """Optimiser steps of each training; order and passes over the pairs as `springback prefer` has them."""
    batch: int = 4
    """Pairs an optimiser step."""
    learning_rate: float | None = None
    """AdamW, constant from the first step (default: 1e-5 full, 2e-4 LoRA; with --tiny 1e-3)."""
    model: str = EMBEDDED
    """The model that every training begins from: a directory, a hub id (`org/name@revision`) or an alias."""
    tuner: Literal["full", "lora"] = "full"
    """Full tuning, or LoRA (extra `peft`)."""
    rank: int = 8
    """Rank of LoRA; without effect on full tuning, and refused there when changed."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; a single step changes less than what bfloat16 rounds away."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes cuda, then mps, then cpu."""
    keep_models: bool = False
    """Keep every trained model; else it is deleted when its readings are stored."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless asked for."""
    tiny: bool = False
    """A random model of 1 MB, no downloads, toy sentences for film: the figures mean nothing."""

    def __post_init__(self) -> None:
        for name in ("losses", "cures"):
            object.__setattr__(self, name, rejoined(getattr(self, name)))
        for name in ("data", "losses", "cures", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise refused(name, f"names nothing, or something twice: {', '.join(map(str, values))}")
        if NONE not in self.cures:
            raise refused("cures", "lacks none, which the others are compared with", "put none first")
        least = {"pairs": 2, "held_out": 2, "steps": 1, "batch": 1}
        for name, fewest in least.items():
            if getattr(self, name) < fewest:
                raise refused(name, f"must be at least {fewest}, got {getattr(self, name)}")
        self.design(self.combinations()[0], "pairs.jsonl", "held_out.jsonl")

    def combinations(self) -> "tuple[Combination, ...]":
        """Every training, in the order in which they are taken: the first seed of everything first."""
        found = [(seed, data, loss, cure) for seed in self.seeds for data in self.data for loss, cure in self.methods()]
        return tuple(
            Combination(name_of(index, data, loss, cure, seed), data, loss, cure, seed)
            for index, (seed, data, loss, cure) in enumerate(found)
        )

    def methods(self) -> list[tuple[str, str]]:
        """(loss, cure) of the grid: losses without a cure first."""
        plain = [(loss, NONE) for loss in self.losses]
        cured = [cure for cure in self.cures if cure != NONE]
        before = self.losses if self.grid == "full" else self.losses[:1]
        return [*plain, *((loss, cure) for loss in before for cure in cured)]

    def design(self, one: "Combination", train: str, held_out: str) -> Design:
        """The preference training that a combination is, on these files."""
        asked = Prefer(
            model=self.model, loss=one.loss, cure=one.cure, held_out=held_out, steps=self.steps, batch=self.batch,
            epochs=-(-self.steps * self.batch // 2), read_pairs=max(self.pairs, self.held_out), read_at=(1,),
            read_every=self.steps, read_products=0, warmup_steps=0, learning_rate=self.rate, tuner=self.tuner,
            rank=self.rank, probes=0, checkpoint_every=self.steps, seed=one.seed, dtype=self.dtype,
            device=self.device, trust_remote_code=self.trust_remote_code, tiny=self.tiny,
        )  # fmt: skip
        return settled(asked, train)

    @property
    def rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-3 if self.tiny else 1e-5 if self.tuner == "full" else 2e-4


@dataclass(frozen=True, slots=True)
class Combination:
    """One training of the study."""

    name: str
    """Of its directory below `runs/`."""
    data: str
    loss: str
    cure: str
    seed: int

    @property
    def row(self) -> str:
        """The key of what its seeds have in common."""
        return row_of(self.data, self.loss, self.cure)


def row_of(data: str, loss: str, cure: str) -> str:
    """Key of a row of the tables."""
    return f"{data}/{loss}/{cure}"


def name_of(index: int, data: str, loss: str, cure: str, seed: int) -> str:
    """A directory's name: the place in the study, then what it is."""
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", f"{data.rpartition('/')[2]}-{loss}-{cure}").strip("-.")
    return f"{index:03}-{slug[:60].rstrip('-.')}-seed{seed}"


PRESETS: Final[dict[str, dict[str, object]]] = {
    "quick": {"data": ("one_token", "long_suffix"), "losses": ("dpo", "ipo", "simpo", "dpop"),
              "cures": (NONE, "normalised", "normalised:inner=adam", "anchor"), "seeds": (0,), "pairs": 12,
              "held_out": 12, "steps": 6, "batch": 4},
    "tiny": {"data": ("one_token", "long_suffix"), "losses": ("dpo", "simpo"), "cures": (NONE, "normalised", "anchor"),
             "seeds": (0, 1), "pairs": 8, "held_out": 8, "steps": 3, "batch": 4, "device": "cpu"},
}  # fmt: skip
