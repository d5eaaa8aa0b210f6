"""A stand-in of known law: models stand on a line, tuning closes a share of the gap each step, documents add noise."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from springback.experiments.resist.config import Training
from springback.experiments.resist.walk import Record

DOCUMENTS = 24


class Killed(BaseException):
    """The process dies here."""


class Step(NamedTuple):
    loss: float
    examples: int = 4


@dataclass(kw_only=True)
class Line:
    """A `Laboratory`. Rates: share of log gap closed each step, by role; `ease` of a target multiplies them."""

    forward: float = 0.2
    inverse: float = 0.2
    placebo: float = 0.2
    ease: Mapping[int, float] = field(default_factory=dict)
    """By target; 1 where it is not named. For placebos only: what the text alone explains."""
    noise: float = 0.0
    of_seeds: float = 0.0
    disk: dict[tuple[int, int], float] = field(default_factory=dict)
    lives: int = 10**9
    """Units of work before the process dies; what was kept survives in `disk`."""
    work: list[str] = field(default_factory=list)
    x: float = 0.0

    def begin(self, seed: int, slices: int) -> None:
        self.x = self.disk[seed, slices] if slices else 0.0

    def slice(self, seed: int, number: int) -> Iterator[Step]:
        for _ in range(2):
            self._live(f"slice {seed}/{number}")
            self.x += 0.5
            yield Step(1.0)

    def keep(self, seed: int, slices: int) -> None:
        self._live(f"keep {seed}/{slices}")
        self.disk[seed, slices] = self.x

    def kept(self, seed: int, slices: int) -> bool:
        return slices == 0 or (seed, slices) in self.disk

    def write(self, seed: int, slices: int) -> Iterable[Record]:
        assert self.x == slices
        name = f"{seed}/{slices}"
        for index in range(3):
            self._live(f"write {name}")
            yield "sample", f"{name}/{index}", {"cell": name, "index": index, "answer": "a", "ended": True}
        tokens = [float(5 + index % 7) for index in range(DOCUMENTS)]
        state = {"name": "answers", "why": None}
        yield "target", name, {"id": name, "seed": seed, "slices": slices, "own_bits": tokens, "tokens": tokens,
                               "own_entropy": {"estimate": None, "why": "a stand-in"}, "state": state}  # fmt: skip

    def aim(self, training: Training) -> None:
        self.begin(training.seed, training.start)

    def train(self, training: Training, first: int, last: int) -> Iterator[Step]:
        for step in range(first, last):
            self._live(f"train {training.id}")
            self.x = training.target + (self.x - training.target) * float(np.exp(-self._rate(training) / 2))
            yield Step(float(step))

    def read(self, training: Training, step: int) -> Mapping[str, Any]:
        self._live(f"read {training.id}")
        generator = np.random.default_rng([training.seed, training.start, training.target, step])
        tokens = 5.0 + np.arange(DOCUMENTS) % 7
        own = np.random.default_rng([training.seed, training.target]).uniform(0.5, 1.5, DOCUMENTS)
        bits = tokens * (own * (self.x - training.target) ** 2 + self.noise * generator.standard_normal(DOCUMENTS))
        bare = {"low": None, "high": None, "level": 0.95, "n": 1, "over": "prompts", "unit": "bit/token"}
        gap = {"estimate": self.x - training.target, **bare}
        return {"excess": bits.tolist(), "kl": bits.tolist(), "kl_from_target": gap, "kl_from_base": gap}

    def _rate(self, training: Training) -> float:
        rate = getattr(self, training.role)
        if training.role == "placebo":
            return rate * self.ease.get(training.target, 1.0)
        sign = 1 if training.role == "forward" else -1
        return rate * (1 + sign * self.of_seeds * (training.seed % 2 - 0.5))

    def _live(self, what: str) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed
        self.work.append(what)
