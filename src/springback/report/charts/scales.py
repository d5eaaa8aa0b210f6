"""From values to places: linear axes with round ticks, and sizes on log2(1 + n / batch), so that 0 has a place."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from springback.report.value import Real


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from `domain` to `range`."""

    domain: tuple[Real, Real]
    range: tuple[Real, Real]

    def __call__(self, x: Real) -> Real:
        low, high = self.domain
        start, end = self.range
        return start + (x - low) / ((high - low) or 1.0) * (end - start)

    def inside(self, x: Real) -> Real:
        """The place of `x`, held within the axis."""
        low, high = self.domain
        return self(min(max(x, low), high))


NOTHING: Final = 0.01
"""Half the height of an axis on which every value is 0."""


def domain(values: Iterable[Real | None], *, include: Iterable[Real] = ()) -> tuple[Real, Real]:
    """The values' range with a twentieth of air; a single value gets room around it; (0, 1) where there are none."""
    known = [v for v in (*values, *include) if v is not None and math.isfinite(v)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    air = (high - low) * 0.05 or abs(high) * 0.5 or NOTHING
    return low - air, high + air


def ticks(low: Real, high: Real, *, most: int = 6) -> list[Real]:
    """Round numbers (1, 2 or 5 times a power of ten) within [low, high], at most `most`."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= most - 0.5)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def decimals(marks: Sequence[Real]) -> int:
    """Digits that tell neighbouring ticks apart."""
    steps = [abs(b - a) for a, b in pairwise(marks)]
    return max(0, -math.floor(math.log10(min(steps)) + 1e-9)) if steps and min(steps) > 0 else 1


def size_place(n: Real, batch: Real) -> Real:
    """Where a number of examples stands: log2(1 + n / batch), in doublings after the first step."""
    return math.log2(1.0 + n / batch)
