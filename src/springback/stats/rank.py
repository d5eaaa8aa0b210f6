"""Rank correlation of two readings of the same items."""

import math

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import student_quantile
from springback.stats.measured import Measured, Values, finite, unmeasured


def ranks(values: Values) -> NDArray[np.float64]:
    """1 for the smallest; equal values share the mean of their places."""
    x = finite(values)
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def spearman(first: Values, second: Values, *, over: str, level: float = 0.95) -> Measured:
    """Spearman's ρ in [−1, 1] with its interval; unmeasured below five items or where one side is constant.

    Interval on Fisher's scale with variance (1 + ρ²/2)/(n − 3) (Bonett and Wright 2000) and Student's quantile.
    """
    a, b = ranks(first), ranks(second)
    if a.size != b.size:
        raise ValueError(f"A correlation needs the same items on both sides: got {a.size} and {b.size}")
    if a.size < 5:
        return unmeasured(f"{a.size} {over}: a rank correlation needs at least 5")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return unmeasured("one of the two readings is the same everywhere")
    a, b = a - a.mean(), b - b.mean()
    rho = max(-1.0, min(1.0, float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))))
    inside = max(-1 + 1e-9, min(1 - 1e-9, rho))
    reach = student_quantile(0.5 + level / 2, a.size - 3) * math.sqrt((1 + rho**2 / 2) / (a.size - 3))
    low, high = (math.tanh(math.atanh(inside) + side * reach) for side in (-1, 1))
    return Measured(rho, min(low, rho), max(high, rho), level, a.size, over, "rank correlation")
