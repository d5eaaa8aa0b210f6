"""How much quicker one training climbs a stretch of margin than another: both from one level to one level.

    low  = the higher of the two first margins         high = low + ½ (top − low)
    examples(curve) = passage(high) − passage(low)     ratio = examples(again) / examples(first)

A training whose pace depends on where the margin stands alone has a ratio of 1, from whichever margin it begins. Items
are drawn together: a resample draws pairs with both curves and the top. Between two sizes the curve is a straight line.
Not guaranteed: that the pace depends on nothing else. A fresh optimiser is fast in its first steps, and the curve that
begins lower has them behind it when the stretch begins.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, mean, unmeasured

Array = NDArray[np.float64]
SHARE: Final = 0.5
"""Of the way from the stretch's foot to the top."""


class Climb(NamedTuple):
    """A training's margins: where it was read (examples, from 0), and [point, pair] in bit/bit."""

    at: Array
    margins: Array


def stretch_ratio(again: Climb, first: Climb, top: Array, *, level: float = 0.95) -> Measured:
    """Examples of `again` over those of `first` for the same stretch below `top` [pair]; below 1 = `again` is quicker.

    Where one of the two does not come so far within what was read, its last size stands for it and `why` says at
    least or at most. Unmeasured where a curve does not begin clearly below the top, or neither comes so far.
    """
    for climb in (again, first):
        room = mean(top - climb.margins[0], over="pairs", unit="bit/bit", level=level)
        if room.low is None or room.low <= 0:
            return unmeasured("there is nothing to regain: a first margin is not clearly below the first alignment’s")
    taken = [found[0] for found in _examples(again, first, top, np.ones((1, top.size)))]
    if not np.isfinite(taken).any():
        return unmeasured("neither training comes half of the way within what was read")
    drawn = _examples(again, first, top, counts(top.size).astype(np.float64))
    estimate = _capped(taken[0], again) / _capped(taken[1], first)
    tail = expanded_tail(top.size, level)
    low = float(np.quantile(np.minimum(drawn[0], again.at[-1]) / drawn[1], tail, method="lower"))
    high = float(np.quantile(drawn[0] / np.minimum(drawn[1], first.at[-1]), 1 - tail, method="higher"))
    ends = min(low, estimate), max(high, estimate) if np.isfinite(high) else None
    return Measured(estimate, *ends, level, top.size, "pairs", "ratio", _why(taken, ends[1]))


def examples(again: Climb, first: Climb, top: Array) -> tuple[float, float]:
    """Of the means: examples that each takes for the stretch, ∞ where it does not come so far."""
    found = _examples(again, first, top, np.ones((1, top.size)))
    return float(found[0][0]), float(found[1][0])


def passage(at: Array, means: Array, level: Array) -> Array:
    """[resample, point] → where each row first is at least its level; 0 if it begins there, ∞ if it never is."""
    above = means >= level[:, None]
    place = above.argmax(1)
    rows, before = np.arange(len(means)), np.maximum(place - 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (level - means[rows, before]) / (means[rows, place] - means[rows, before])
        found = np.where(place == 0, at[0], at[before] + part * (at[place] - at[before]))
    return np.where(above.any(1), found, np.inf)


def _examples(again: Climb, first: Climb, top: Array, weights: Array) -> tuple[Array, Array]:
    """[resample] for each; a draw with nothing to regain says nothing: ∞ for both."""
    share = weights / weights.sum(1, keepdims=True)
    means = [np.einsum("rn,pn->rp", share, climb.margins) for climb in (again, first)]
    ceiling = np.einsum("rn,n->r", share, top)
    foot = np.maximum(means[0][:, 0], means[1][:, 0])
    goal = foot + SHARE * (ceiling - foot)
    found = []
    for climb, curve in zip((again, first), means, strict=True):
        begun, reached = (passage(climb.at, curve, where) for where in (foot, goal))
        taken = np.where(np.isfinite(reached), reached - np.where(np.isfinite(begun), begun, 0.0), np.inf)
        found.append(np.where(ceiling > foot, taken, np.inf))
    return found[0], found[1]


def _capped(taken: float, climb: Climb) -> float:
    return float(min(taken, climb.at[-1]))


def _why(taken: list[float], high: float | None) -> str | None:
    if not np.isfinite(taken[0]):
        return "at least: re-alignment does not come half of the way within what was read"
    if not np.isfinite(taken[1]):
        return "at most: the other training does not come half of the way within what was read"
    return None if high is not None else "no upper end: not every resample comes half of the way"
