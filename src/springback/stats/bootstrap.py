"""Resampling items with replacement, always by the same draws for the same number of items.

Equal draws make two readings of the same items comparable and every record repeatable. Two readings of the same
prompts (score before and after) are paired because whole items are drawn, never sides.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 9_999
"""Enough for the far tail that ten items ask for (0.9 % at level 0.95: ninety draws beyond it)."""
SMALLEST, LARGEST = 10, 4_096
"""Outside of these counts Student's interval stands: fewer items cannot be resampled usefully, more need not be."""
_KEPT = 1_024
_ROWS = 256
_SEED = 20_240_606


def counts(items: int) -> NDArray[np.int16]:
    """How often each item is drawn: [resample, item], rows sum to `items`."""
    return _kept_counts(items) if items <= _KEPT else _draw(items)


def resampled_means(values: Array) -> Array:
    """Mean of each resample: [resample]; empty where Student's interval stands. The same on any number of threads."""
    if not SMALLEST <= values.size <= LARGEST:
        return np.empty(0)
    return np.einsum("rn,n->r", counts(values.size), values) / values.size


def interval(resamples: Array, values: Array, estimate: float, *, level: float) -> tuple[float, float]:
    """The two ends at `level`, holding the estimate. `values` are the items, used where they are too few."""
    if np.ptp(values) == 0:
        return estimate, estimate
    n = values.size
    if not SMALLEST <= n <= LARGEST:
        reach = student_quantile(0.5 + level / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
        return estimate - reach, estimate + reach
    tail = expanded_tail(n, level)
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return min(float(low), estimate), max(float(high), estimate)


def expanded_tail(items: int, level: float) -> float:
    """Share of resamples left beyond each end: Φ(−√(n/(n−1))·t), Hesterberg 2015."""
    t = student_quantile(0.5 + level / 2, items - 1)
    return normal_below(-math.sqrt(items / (items - 1)) * t)


def normal_below(x: float) -> float:
    """Φ(x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


@lru_cache(maxsize=256)
def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t; imported late, because scipy costs more than a `--help` may."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


@lru_cache(maxsize=4)
def _kept_counts(items: int) -> NDArray[np.int16]:
    return _draw(items)


def _draw(items: int) -> NDArray[np.int16]:
    generator, drawn = np.random.default_rng([_SEED, items]), np.empty((RESAMPLES, items), np.int16)
    for first in range(0, RESAMPLES, _ROWS):
        rows = min(_ROWS, RESAMPLES - first)
        places = generator.integers(items, size=(rows, items)) + items * np.arange(rows)[:, None]
        drawn[first : first + rows] = np.bincount(places.ravel(), minlength=rows * items).reshape(rows, items)
    return drawn
