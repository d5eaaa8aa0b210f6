"""Scaling: y = a · xᵇ over model sizes or checkpoints, by least squares on log y against log x.

The interval of b is over sizes, and so takes in what seeds add to each size's mean: from ten sizes on sizes are drawn
whole and seeds within each (pairs bootstrap), below that Student's interval of the slope on sizes − 2 degrees (few
sizes cannot be drawn usefully). `over_seeds` fits each seed apart and gives Student's interval over seeds: how well b
is known for these very sizes, not for others. A paper that shades the spread over N shows neither.

Not guaranteed: that a power law holds. R² near 1 on three sizes says next to nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.errors import RefusedError
from springback.stats.bootstrap import RESAMPLES, SMALLEST, expanded_tail, student_quantile
from springback.stats.measured import Measured
from springback.stats.paired import over_seeds

FEWEST = 3
"""Sizes: two points lie on every power law."""
_SEED = 20_240_608
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = a · xᵇ."""

    a: float
    """y at x = 1, in the unit of y."""
    b: Measured
    """The exponent, with its interval over sizes; no unit."""
    over_seeds: Measured
    """The exponent of each seed's own fit; unmeasured below three seeds."""
    r2: float
    """Share of the variance of the sizes' mean log y that the line explains, in [0, 1]; 1 where y does not vary."""
    sizes: tuple[float, ...]

    def at(self, x: float) -> float:
        """The fitted y at x, in the unit of y."""
        assert self.b.estimate is not None
        return self.a * x**self.b.estimate

    def json(self) -> dict[str, Any]:
        """As a result carries it."""
        return {
            "a": self.a, "b": self.b.json(), "over_seeds": self.over_seeds.json(), "r2": self.r2,
            "sizes": list(self.sizes),
        }  # fmt: skip


def power_law(sizes: Sequence[float], values: Array, *, level: float = 0.95) -> PowerLaw:
    """Fit over `values` [size, seed], all above 0. RefusedError below three sizes, or where a logarithm is missing."""
    x, y = _logarithms(sizes, values)
    means = y.mean(1)
    slope, intercept = _fit(x, means)
    rest = means - (intercept + slope * x)
    spread = float(((means - means.mean()) ** 2).sum())
    r2 = 1 - float((rest**2).sum()) / spread if spread > 0 else 1.0
    low, high = _drawn(x, y, level) if x.size >= SMALLEST else _student(x, rest, slope, level)
    exponent = Measured(slope, min(low, slope), max(high, slope), level, x.size, "sizes", "")
    seeds = over_seeds([_fit(x, one)[0] for one in y.T], unit="", level=level)
    return PowerLaw(math.exp(intercept), exponent, seeds, max(0.0, r2), tuple(np.exp(x).tolist()))


def _logarithms(sizes: Sequence[float], values: Array) -> tuple[Array, Array]:
    x = np.asarray(sizes, dtype=np.float64)
    if x.size != len(set(x.tolist())) or x.size < FEWEST:
        raise _refused(f"A power law needs at least {FEWEST} different sizes, got {list(sizes)}.", "Give more sizes.")
    if values.ndim != 2 or values.shape[0] != x.size or values.shape[1] < 1:
        raise ValueError(f"[size, seed] for {x.size} sizes: got {values.shape}.")
    if not (np.isfinite(values).all() and (values > 0).all() and np.isfinite(x).all() and (x > 0).all()):
        raise _refused("A power law is fitted to numbers above 0.", "Leave out sizes at which nothing was measured.")
    return np.log(x), np.log(values)


def _fit(x: Array, y: Array) -> tuple[float, float]:
    away = x - x.mean()
    slope = float((away * y).sum() / (away**2).sum())
    return slope, float(y.mean() - slope * x.mean())


def _student(x: Array, rest: Array, slope: float, level: float) -> tuple[float, float]:
    degrees = x.size - 2
    error = math.sqrt(float((rest**2).sum()) / degrees / float(((x - x.mean()) ** 2).sum()))
    reach = student_quantile(0.5 + level / 2, degrees) * error
    return slope - reach, slope + reach


def _drawn(x: Array, y: Array, level: float) -> tuple[float, float]:
    generator = np.random.default_rng([_SEED, *y.shape])
    size, seeds = y.shape
    places = generator.integers(size, size=(RESAMPLES, size))
    within = generator.integers(seeds, size=(RESAMPLES, size, seeds))
    means = y[places[:, :, None], within].mean(2)
    drawn = x[places]
    away = drawn - drawn.mean(1, keepdims=True)
    squares = (away**2).sum(1)
    slopes = (away * means).sum(1)[squares > 0] / squares[squares > 0]
    tail = expanded_tail(size, level)
    low, high = np.quantile(slopes, [tail, 1 - tail])
    return float(low), float(high)


def _refused(message: str, todo: str) -> RefusedError:
    return RefusedError(message, kind="data", next=todo)
