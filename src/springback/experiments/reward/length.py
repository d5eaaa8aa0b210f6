"""How far a reward model counts tokens. Torch-free.

Data has longer answers chosen more often than not, so a score that goes with length is no fault by itself; being right
only where the longer answer won is. The rule "the longer answer is better" stands beside as a baseline.
"""

from typing import Any, Final

import numpy as np

from springback.experiments.reward.heldout import Array, HeldOut, per_row, share
from springback.stats.bootstrap import expanded_tail
from springback.stats.measured import Measured, unmeasured
from springback.stats.rank import ranks

DRAWS: Final = 999
FEWEST: Final = 10
"""Rows below which no interval of a correlation is drawn."""


def length_bias(held: HeldOut) -> dict[str, Any]:
    """Correlation of score and length, and accuracy where the longer answer loses, where it wins, and beyond length."""
    pairs, over = held.ordered, held.over
    unequal = pairs.where(pairs.tokens != 0)
    longer_loses, longer_wins = pairs.where(pairs.tokens < 0), pairs.where(pairs.tokens > 0)
    prefers = np.where(unequal.tokens > 0, unequal.right, 1 - unequal.right)
    told = lambda found, values, unit: share(values, found.row, over=over, unit=unit).json()
    by_length = (np.sign(pairs.tokens) + 1) / 2
    return {
        "correlation": correlation(held).json(),
        "accuracy_longer_loses": told(longer_loses, longer_loses.right, "share right"),
        "accuracy_longer_wins": told(longer_wins, longer_wins.right, "share right"),
        "prefers_longer": told(unequal, prefers, "share of pairs"),
        "longer_is_better": told(unequal, (unequal.tokens > 0).astype(np.float64), "share of pairs"),
        "accuracy_of_length": told(pairs, by_length, "share right"),
        "beyond_length": per_row(pairs.right - by_length, pairs.row, over=over, unit="share right").json(),
        "pairs": {"longer_loses": len(longer_loses), "longer_wins": len(longer_wins),
                  "equal": len(pairs) - len(unequal)},
    }  # fmt: skip


def correlation(held: HeldOut) -> Measured:
    """Spearman's rank correlation of score and answer tokens over all answers, in [−1, 1]; rows are drawn whole.

    Ranks are taken once, over all answers. Unmeasured below ten rows or where one of the two is the same everywhere.
    """
    counts = [len(row["scores"]) for row in held.rows]
    if len(counts) < FEWEST:
        return unmeasured(f"{len(counts)} {held.over}: an interval needs at least {FEWEST}")
    owner = np.repeat(np.arange(len(counts)), counts)
    sides = [ranks([float(value) for row in held.rows for value in row[name]]) for name in ("scores", "tokens")]
    if any(np.ptp(side) == 0 for side in sides):
        return unmeasured("scores or lengths are the same everywhere")
    a, b = (side - side.mean() for side in sides)
    moments = np.stack([np.bincount(owner, weights=each) for each in (np.ones(a.size), a, b, a * a, b * b, a * b)])
    generator, n = np.random.default_rng([20_250_117, len(counts)]), len(counts)
    drawn = [
        _pearson(moments @ np.bincount(generator.integers(n, size=n), minlength=n).astype(np.float64))
        for _ in range(DRAWS)
    ]
    estimate, tail = _pearson(moments.sum(1)), expanded_tail(n, 0.95)
    low, high = np.quantile([one for one in drawn if np.isfinite(one)], [tail, 1 - tail])
    return Measured(
        estimate, min(float(low), estimate), max(float(high), estimate), 0.95, n, held.over, "rank correlation"
    )


def _pearson(sums: Array) -> float:
    """From Σ1, Σa, Σb, Σa², Σb², Σab."""
    n, a, b, aa, bb, ab = sums
    spread = (n * aa - a * a) * (n * bb - b * b)
    return float((n * ab - a * b) / np.sqrt(spread)) if spread > 0 else float("nan")
