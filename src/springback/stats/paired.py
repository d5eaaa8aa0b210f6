"""Differences on the same items: is there one, how small a one could have been seen, and what share is it of another?

The test flips the sign of each difference (Fisher 1935; Good 2005, *Permutation, Parametric and Bootstrap Tests*,
section 3.2): under "no difference" before − after is as likely as after − before. It counts, so differences that all
agree are judged by how many they are. Not guaranteed: a wrong centre under strong skew (the null is symmetry).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import interval, resampled_means, student_quantile
from springback.stats.measured import Measured, Values, finite, mean, unmeasured

EXACT = 12
"""Up to this many differences that are not 0, all sign patterns are counted (4,096)."""
FLIPS = 9_999
_SEED = 20_240_607


def sign_flip(differences: Values) -> float:
    """Two-sided p that the differences are symmetric about 0, in (0, 1]; exact up to 12 of them."""
    d = finite(differences)
    d = d[d != 0]  # a zero stays zero under both signs
    if d.size == 0:
        return 1.0
    signs = _all_signs(d.size) if d.size <= EXACT else _drawn_signs(d.size)
    sums = np.abs(np.einsum("rn,n->r", signs, d))
    reached = int((sums >= abs(float(d.sum())) * (1 - 1e-12)).sum())
    return reached / sums.size if d.size <= EXACT else (1 + reached) / (1 + sums.size)


def smallest_detectable(differences: Values, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest mean difference found with this power at this spread and count, in their unit; None below two.

    (t₁₋α⸝₂ + t_power)·s/√n (Cohen 1988, section 2.5, with Student's quantiles): 0 where all differences agree.
    """
    d = finite(differences)
    if d.size < 2:
        return None
    reach = student_quantile(1 - alpha / 2, d.size - 1) + student_quantile(power, d.size - 1)
    return 0.0 if np.ptp(d) == 0 else reach * float(d.std(ddof=1)) / math.sqrt(d.size)


def least_p(items: int) -> float:
    """The smallest p that this many differences can reach when all agree: what no effect can get below."""
    return max(2.0 ** (1 - items), 1 / (1 + FLIPS)) if items else 1.0


def over_seeds(values: Values, *, unit: str, level: float = 0.95) -> Measured:
    """Mean of one value per seed with Student's interval (seeds are too few to resample)."""
    x = finite(values)
    if x.size < 3:
        return unmeasured(f"{x.size} seed{'s' * (x.size != 1)}: an interval over seeds needs at least 3")
    centre = float(x.mean()) if np.ptp(x) else float(x[0])
    reach = student_quantile(0.5 + level / 2, x.size - 1) * float(x.std(ddof=1)) / math.sqrt(x.size)
    reach = 0.0 if np.ptp(x) == 0 else reach
    return Measured(centre, centre - reach, centre + reach, level, x.size, "seeds", unit)


def student_p(values: Values) -> float:
    """Two-sided p of Student's one-sample test against 0; 1 where all are 0, at least two values."""
    from scipy.special import stdtr

    x = finite(values)
    spread = float(x.std(ddof=1)) if np.ptp(x) else 0.0
    if spread == 0:
        return 1.0 if x[0] == 0 else 0.0
    return 2 * float(stdtr(x.size - 1, -abs(float(x.mean())) * math.sqrt(x.size) / spread))


def ratio_of_means(numerators: Values, denominators: Values, *, over: str, unit: str, level: float = 0.95) -> Measured:
    """mean(numerators) / mean(denominators) on the same items; unmeasured where the denominator's interval holds 0.

    The interval is the set of resampled ratios, so "its lower end is above r" says the same as "numerators −
    r·denominators lies above 0". Draws in which the denominator changes sign count as beyond every bound.
    """
    top, bottom = finite(numerators), finite(denominators)
    if top.size != bottom.size:
        raise ValueError(f"A ratio is taken on the same items: got {top.size} and {bottom.size}")
    below = mean(bottom, over=over, unit=unit, level=level)
    if below.estimate is None:
        return below
    if not below.excludes(0.0):
        return unmeasured(f"the difference it is a share of includes 0: {_ends(below)}")
    estimate = float(top.mean()) / below.estimate
    pulls = (top - estimate * bottom) / below.estimate + estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = resampled_means(top) / (side := resampled_means(bottom * math.copysign(1.0, below.estimate)))
    draws = draws * math.copysign(1.0, below.estimate)
    draws = np.where(side > 0, draws, np.copysign(np.inf, resampled_means(top) * below.estimate))
    with np.errstate(invalid="ignore"):  # between two infinite draws there is nothing to interpolate
        low, high = interval(draws, pulls, estimate, level=level)
    if not math.isfinite(low) or not math.isfinite(high):
        return unmeasured("the difference it is a share of is too near 0")
    return Measured(estimate, low, high, level, top.size, over, unit)


def _ends(value: Measured) -> str:
    return f"{value.estimate:+.2g} [{value.low:+.2g}, {value.high:+.2g}]".replace("-", "−")


@lru_cache(maxsize=16)
def _all_signs(items: int) -> NDArray[np.float64]:
    bits = (np.arange(2**items)[:, None] >> np.arange(items)) & 1
    return 2.0 * bits - 1.0


@lru_cache(maxsize=8)
def _drawn_signs(items: int) -> NDArray[np.float64]:
    generator = np.random.default_rng([_SEED, items])
    return generator.choice([-1.0, 1.0], size=(FLIPS, items))
