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
SMALLEST = 10
"""Below this many items Student's interval stands: the resamples can hardly leave the range of the values."""
_KEPT_ITEMS = 256
_SEED = 20_240_606


def counts(items: int) -> Array:
    """How often each item is drawn: [resample, item], rows sum to `items`."""
    return _kept_counts(items) if items <= _KEPT_ITEMS else _draw(items)


def resampled_means(values: Array) -> Array:
    """Mean of each resample: [resample]. The sums do not depend on the number of threads."""
    return np.einsum("rn,n->r", counts(values.size), values) / values.size


def interval(resamples: Array, values: Array, estimate: float, *, level: float) -> tuple[float, float]:
    """The two ends at `level`, holding the estimate. `values` are the items, used where they are too few."""
    if np.ptp(values) == 0:
        return estimate, estimate
    n = values.size
    if n < SMALLEST:
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


@lru_cache(maxsize=8)
def _kept_counts(items: int) -> Array:
    return _draw(items)


def _draw(items: int) -> Array:
    generator = np.random.default_rng([_SEED, items])
    return generator.multinomial(items, np.full(items, 1 / items), size=RESAMPLES).astype(np.float64)
