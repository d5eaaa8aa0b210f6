"""The stored points of a study as arrays: what its tables and claims are made of. Torch-free."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from springback.experiments.entangle.agreement import _wilson  # pyright: ignore[reportPrivateUsage]
from springback.experiments.study.config import row_of
from springback.stats.measured import Measured, mean
from springback.stats.paired import over_seeds, sign_flip

Values = NDArray[np.float64]
LEVEL: Final = 0.05
"""Corrected p below which something is decided."""
SEEDS: Final = 3
"""From so many seeds on, intervals are over seeds."""


@dataclass(frozen=True, slots=True)
class Group:
    """All seeds of one (data, loss, cure)."""

    data: str
    loss: str
    cure: str
    points: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> str:
        return row_of(self.data, self.loss, self.cure)

    def changes(self, what: str, side: str) -> Values:
        """[seed, pair] in nats. `what`: held_out, train (at the end), first (training pairs after one step)."""
        if side == "margin":
            return self.changes(what, "chosen") - self.changes(what, "rejected")
        return np.array([point[what][side] for point in self.points], dtype=np.float64)


def groups(points: Mapping[str, Mapping[str, Any]]) -> dict[str, Group]:
    """By row key, in the order in which they were first taken."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for body in points.values():
        found.setdefault(row_of(body["data"], body["loss"], body["cure"]), []).append(body)
    of = {key: bodies[0] for key, bodies in found.items()}
    return {key: Group(of[key]["data"], of[key]["loss"], of[key]["cure"], tuple(many)) for key, many in found.items()}


def measured(values: Values, *, unit: str = "nat") -> Measured:
    """Mean of [seed, pair]: interval over seeds from three on, else over pairs (each the mean of its seeds)."""
    if len(values) >= SEEDS:
        return over_seeds(values.mean(axis=1), unit=unit)
    return mean(values.mean(axis=0), over="pairs", unit=unit)


def share(hits: NDArray[np.bool_]) -> Measured:
    """Share of [seed, pair] with Wilson's interval over pairs: seeds of one pair are no further pairs."""
    return wilson(hits.mean(axis=0).tolist())


def wilson(shares: Sequence[float]) -> Measured:
    """Mean of one share a pair, with Wilson's interval over pairs."""
    return _wilson(math.fsum(shares), len(shares), over="pairs")


def p_of(values: Values) -> float:
    """Two-sided sign-flip p over pairs, each the mean of its seeds."""
    return sign_flip(values.mean(axis=0))


def decided(values: Values, p: float | None) -> int:
    """±1 where the corrected p is below .05 and, with three seeds or more, their interval is clear of 0; else 0."""
    if p is None or p >= LEVEL:
        return 0
    found = measured(values)
    if len(values) >= SEEDS and not found.excludes(0.0):
        return 0
    return int(np.sign(values.mean()))
