"""How well predicted changes agree with measured ones: signs, ranks, and what chance or a simpler rule would reach.

Both answers of a pair belong together: intervals are over pairs. Below the noise floor a measured change is rounding;
such changes are counted apart, never silently left out. Torch-free.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import counts, expanded_tail, normal_below
from springback.stats.measured import Measured, ratio_of_sums, unmeasured
from springback.stats.rank import ranks

RESAMPLES = 1_999
SMALL = 10
"""Fewer pairs than this cannot be resampled usefully: no interval for their rank correlation."""
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Changes:
    """What was predicted and measured for both answers of pairs, in nats: [reading, answer]; NaN where not made."""

    predicted: Values
    measured: Values
    pairs: NDArray[np.int64]
    """Which pair each reading is of: one may be read under several steps, and counts once in an interval."""
    floor: float = 0.0
    """Measured changes of at most this size are rounding."""

    @property
    def clear(self) -> NDArray[np.bool_]:
        return (np.abs(self.measured) > self.floor) & np.isfinite(self.predicted)

    @property
    def agree(self) -> NDArray[np.bool_]:
        return np.sign(self.predicted) == np.sign(self.measured)


def share(hits: Sequence[bool] | NDArray[np.bool_], *, over: str, level: float = 0.95) -> Measured:
    """Share of hits with Wilson's interval (1927), which is not [1, 1] where all agree."""
    return _wilson(float(np.sum(hits)), len(hits), over=over, level=level)


def _wilson(hit: float, n: int, *, over: str, level: float = 0.95) -> Measured:
    if n == 0:
        return unmeasured(f"no {over}")
    z = _normal_quantile(0.5 + level / 2)
    middle = (hit + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * math.sqrt(hit * (n - hit) / n + z * z / 4)
    low, high = (0.0 if hit == 0 else middle - reach), (1.0 if hit == n else middle + reach)
    return Measured(hit / n, low, high, level, n, over, "share")


def sign_agreement(changes: Changes, *, clear_only: bool = True) -> Measured:
    """Share of changes whose sign was predicted, intervals over pairs; `clear_only` leaves rounding out."""
    known = changes.clear if clear_only else np.isfinite(changes.predicted)
    hits, counted = (_by_pair(changes.pairs, table.sum(axis=1)) for table in (changes.agree & known, known))
    if not counted.any():
        return unmeasured("no change is above the noise floor" if clear_only else "nothing was predicted")
    by_pair = hits[counted > 0] / counted[counted > 0]
    if by_pair.size > 1 and np.ptp(by_pair) > 0:
        found = ratio_of_sums(hits[counted > 0], counted[counted > 0], over="pairs", unit="share")
        return replace(found, low=max(0.0, found.low or 0.0), high=min(1.0, found.high or 1.0))
    return _wilson(float(by_pair.sum()), by_pair.size, over="pairs")  # all alike: resampling would say [x, x]


def rank_correlation(changes: Changes) -> Measured:
    """Spearman's ρ of predicted and measured changes of both answers.

    Interval: pairs are drawn whole (expanded percentile, Hesterberg 2015), with the ranks that they have among all.
    """
    known = np.isfinite(changes.predicted).all(axis=1)
    x, y, pairs = changes.predicted[known], changes.measured[known], changes.pairs[known]
    if x.size < 5:
        return unmeasured(f"{x.size} changes: a rank correlation needs at least 5")
    a, b = ranks(x.ravel()), ranks(y.ravel())
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return unmeasured("one of the two readings is the same everywhere")
    known_pairs, place = np.unique(np.repeat(pairs, 2), return_inverse=True)
    rho, n = float(_weighted(a, b, np.ones((1, a.size)))[0]), len(known_pairs)
    if n < SMALL:
        return Measured(rho, n=n, over="pairs", unit="rank correlation")
    drawn = _weighted(a, b, counts(n)[:RESAMPLES, place].astype(np.float64))
    tail = expanded_tail(n, 0.95)
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Measured(rho, min(float(low), rho), max(float(high), rho), 0.95, n, "pairs", "rank correlation")


def compared(changes: Mapping[str, Changes]) -> dict[str, Any]:
    """By predictor: signs above the floor and over all, ranks. The first one is the claim, the rest are baselines."""
    return {
        name: {
            "sign_agreement": sign_agreement(one).json(),
            "sign_agreement_all": sign_agreement(one, clear_only=False).json(),
            "rank_correlation": rank_correlation(one).json(),
            "changes": int(np.isfinite(one.predicted).sum()),
            "above_floor": int(one.clear.sum()),
        }
        for name, one in changes.items()
    }


def _weighted(a: Values, b: Values, weights: Values) -> Values:
    """Pearson's correlation under each row of weights; NaN where one side does not vary."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    a, b = a - (weights @ a)[:, None], b - (weights @ b)[:, None]
    moment = lambda one, other: np.einsum("rn,rn,rn->r", weights, one, other)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(moment(a, b) / np.sqrt(moment(a, a) * moment(b, b)), -1.0, 1.0)


def _by_pair(pairs: NDArray[np.int64], values: NDArray[Any]) -> Values:
    """Sums over the readings of each pair."""
    _, place = np.unique(pairs, return_inverse=True)
    return np.bincount(place, weights=values).astype(np.float64)


def _normal_quantile(probability: float) -> float:
    """Φ⁻¹ by bisection: 1.959964 at 0.975."""
    low, high = -10.0, 10.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if normal_below(middle) < probability else (low, middle)
    return (low + high) / 2
