"""Half-life: how long until half of something is gone, along training that was read at a few points.

One value per item (document, prompt, pair) at each point, the first being 0: what is left of a gain, or an excess loss.
The mean over items is followed, as a ratio of means; it falls below `share` of its first value at the place found by
linear interpolation between two points. Items are drawn whole, all points of an item together.

Not guaranteed: that it stays below; the first crossing counts. What was not read between two points is not seen.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, mean, unmeasured

Array = NDArray[np.float64]


def until(
    at: Sequence[float] | Sequence[int],
    left: Array,
    *,
    share: float = 0.5,
    over: str,
    unit: str,
    level: float = 0.95,
) -> Measured:
    """Where the mean of `left` [point, item] first is at most `share` of its first value, in the unit of `at`.

    Unmeasured where there was nothing to lose (the first mean's interval is not above 0), or "not reached". An upper
    end is None where too many resamples do not reach it.
    """
    places, values = _checked(at, left, share)
    first = mean(values[0], over=over, unit="", level=level)
    if first.estimate is None:
        return first
    if first.low is None or first.low <= 0:
        return unmeasured(f"there is nothing to lose: the first value is not clear of 0 over {over}")
    found = float(crossing(places, values.mean(1)[None], share)[0])
    if not np.isfinite(found):
        return unmeasured(f"not reached within {places[-1]:g} {unit}")
    return _measured(found, places, values, share, (over, unit, level))


def crossing(at: Array, means: Array, share: float) -> Array:
    """[resample, point] → where each row first is at most `share` of its first value; ∞ where it never is."""
    target = share * means[:, :1]
    below = means <= target
    below[:, 0] = False
    place = below.argmax(1)
    rows = np.arange(len(means))
    after, before = means[rows, place], means[rows, place - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (before - target[:, 0]) / (before - after)
    found = at[place - 1] + part * (at[place] - at[place - 1])
    return np.where(below.any(1) & (means[:, 0] > 0), found, np.inf)


def _checked(at: Sequence[float] | Sequence[int], left: Array, share: float) -> tuple[Array, Array]:
    places = np.asarray(at, dtype=np.float64)
    if left.ndim != 2 or left.shape[0] != places.size or places.size < 2 or not np.isfinite(left).all():
        raise ValueError(f"[point, item], finite, at {places.size} points: got {left.shape}.")
    if (np.diff(places) <= 0).any() or not 0 < share < 1:
        raise ValueError(f"Points increase and the share lies in (0, 1): got {list(at)} and {share}.")
    return places, left


def _measured(found: float, places: Array, values: Array, share: float, told: tuple[str, str, float]) -> Measured:
    over, unit, level = told
    n = values.shape[1]
    drawn = crossing(places, np.einsum("rn,pn->rp", counts(n), values) / n, share)
    tail = expanded_tail(n, level)
    low = float(np.quantile(drawn, tail, method="lower"))
    high = float(np.quantile(drawn, 1 - tail, method="higher"))
    return Measured(
        found, min(low, found), max(high, found) if np.isfinite(high) else None, level, n, over, unit,
        None if np.isfinite(high) else f"no upper end: not every resample reaches it within {places[-1]:g} {unit}",
    )  # fmt: skip
