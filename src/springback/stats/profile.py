"""Where along an answer something is spent: the position by which half of a mean profile has gone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, unmeasured

Rows = Sequence[Sequence[float]]
Array = NDArray[np.float64]


def half_position(rows: Rows, *, fewest: int, over: str = "prompts", level: float = 0.95) -> Measured:
    """Position (first token = 1) by which half of the mean profile is spent; interval over rows, which are drawn whole.

    The mean at a position is over the rows that reach it; the profile ends where fewer than `fewest` do. Between two
    positions it is interpolated. Unmeasured where the profile is empty or 0.
    """
    drawn = _halves(rows, fewest)
    if drawn is None:
        return unmeasured(f"fewer than {fewest} answers reach the first position, or nothing is spent")
    return _measured(*drawn, len(rows), over, level)


def half_position_difference(
    rows: Rows, others: Rows, *, fewest: int, over: str = "prompts", level: float = 0.95
) -> Measured:
    """half_position(rows) − half_position(others), row i of both from the same prompt and drawn together."""
    if len(rows) != len(others):
        raise ValueError(f"Paired profiles need the same prompts: got {len(rows)} and {len(others)} rows")
    first, second = _halves(rows, fewest), _halves(others, fewest)
    if first is None or second is None:
        return unmeasured(f"fewer than {fewest} answers reach the first position of both, or nothing is spent")
    return _measured(first[0] - second[0], first[1] - second[1], len(rows), over, level)


def _halves(rows: Rows, fewest: int) -> tuple[float, Array] | None:
    """The half position of the rows, and of every resample of them; None where there is no profile."""
    reach = np.array([len(row) for row in rows])
    last = int(np.sort(reach)[-fewest]) if len(rows) >= max(2, fewest) else 0
    if last == 0:
        return None
    values, there = np.zeros((len(rows), last)), (np.arange(last) < reach[:, None]).astype(np.float64)
    for place, row in enumerate(rows):
        values[place, : min(last, len(row))] = row[:last]
    whole = _half(values.sum(0)[None] / there.sum(0)[None])
    if not np.isfinite(whole).all():
        return None
    drawn = counts(len(rows))
    means = np.einsum("rn,nt->rt", drawn, values) / np.maximum(np.einsum("rn,nt->rt", drawn, there), 1.0)
    halves = _half(means)
    return float(whole[0]), np.where(np.isfinite(halves), halves, whole[0])


def _half(profiles: Array) -> Array:
    """[resample, position] → the interpolated position at which the running sum passes half; NaN where all is 0."""
    spent = np.cumsum(profiles, axis=1)
    target = spent[:, -1:] / 2
    place = (spent < target).sum(1).clip(max=profiles.shape[1] - 1)[:, None]
    at = np.take_along_axis(spent, place, 1)
    step = np.take_along_axis(profiles, place, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = place + 1 - (at - target) / step
    return np.where(spent[:, -1] > 0, found[:, 0], np.nan)


def _measured(estimate: float, drawn: Array, n: int, over: str, level: float) -> Measured:
    tail = expanded_tail(n, level)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Measured(estimate, min(float(low), estimate), max(float(high), estimate), level, n, over, "position")
