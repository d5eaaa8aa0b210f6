"""Scored held-out answers as the arrays that every measure reads. Torch-free.

A row is one prompt's answers. Its pairs are all (better, worse); a pair of equal relevance is a tie. Rows are what is
drawn again for intervals; where every row is one pair, that is the pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import student_quantile
from springback.stats.measured import Measured, ratio_of_sums, unmeasured

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of all rows, one entry a pair."""

    row: NDArray[np.int64]
    """Which row it belongs to."""
    difference: Array
    """Score of the better answer less that of the worse one; of a tie, of the first less the second."""
    tokens: Array
    """Tokens of the better answer less those of the worse one."""

    def __len__(self) -> int:
        return self.difference.size

    @property
    def right(self) -> Array:
        """1 where the better answer scores higher, ½ where both score the same, 0 elsewhere."""
        return (np.sign(self.difference) + 1) / 2

    def where(self, kept: NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.row[kept], self.difference[kept], self.tokens[kept])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Everything that was scored."""

    rows: tuple[Mapping[str, Any], ...]
    """Bodies of `score` records: `scores`, `relevance`, `tokens`, one entry an answer."""
    ordered: Pairs
    tied: Pairs

    @property
    def over(self) -> str:
        """What an interval is over."""
        return "pairs" if all(len(row["scores"]) == 2 for row in self.rows) else "prompts"


def held_out(bodies: Sequence[Mapping[str, Any]]) -> HeldOut:
    """The scored rows, in their order."""
    ordered: list[tuple[int, float, float]] = []
    tied: list[tuple[int, float, float]] = []
    for index, body in enumerate(bodies):
        for i, j in combinations(range(len(body["scores"])), 2):
            better, worse = (i, j) if body["relevance"][i] >= body["relevance"][j] else (j, i)
            entry = (index, _apart(body["scores"], better, worse), _apart(body["tokens"], better, worse))
            (tied if body["relevance"][i] == body["relevance"][j] else ordered).append(entry)
    return HeldOut(tuple(bodies), _pairs(ordered), _pairs(tied))


def share(values: Array, row: NDArray[np.int64], *, over: str, unit: str) -> Measured:
    """Mean of values in [0, 1] over pairs, with Wilson's interval (1927) where each row is one pair or all are alike.

    Rows of several pairs are drawn whole. Wilson's has a width where all are right.
    """
    if not values.size:
        return unmeasured("no held-out pair is of this kind")
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    right = np.bincount(place, weights=values)
    if counts.max() > 1 and np.ptp(right / counts) > 0:
        return ratio_of_sums(right, counts.astype(np.float64), over=over, unit=unit)
    return wilson(float(values.mean()), counts.size, over=over, unit=unit)


def wilson(estimate: float, n: int, *, over: str, unit: str) -> Measured:
    """A share of n independent items with Wilson's interval at 95 %."""
    z = student_quantile(0.975, 10**9)
    middle = (estimate + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * float(np.sqrt(estimate * (1 - estimate) / n + z * z / (4 * n * n)))
    low, high = min(max(0.0, middle - reach), estimate), max(min(1.0, middle + reach), estimate)
    return Measured(estimate, low, high, 0.95, n, over, unit)


def per_row(values: Array, row: NDArray[np.int64], *, over: str, unit: str) -> Measured:
    """Mean of any values over pairs, rows drawn whole."""
    if not values.size:
        return unmeasured("no held-out pair orders two answers")
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    return ratio_of_sums(np.bincount(place, weights=values), counts.astype(np.float64), over=over, unit=unit)


def _pairs(found: Sequence[tuple[int, float, float]]) -> Pairs:
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    return Pairs(np.array(columns[0], np.int64), np.array(columns[1], float), np.array(columns[2], float))


def _apart(values: Sequence[Any], one: int, other: int) -> float:
    return float(values[one]) - float(values[other])
