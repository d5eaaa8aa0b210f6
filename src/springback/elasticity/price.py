"""What a defence makes an undoing cost: the half-life of an alignment under it, over its half-life without.

Both are read on the same items, which are drawn together (see `half_life`); above 1 the defence makes undoing dearer.
A draw in which a half-life lies beyond the last place read is known from one side only: it counts as 0 at the lower end
of the ratio where the undefended one is not reached, and leaves the ratio without an upper end where the defended one
is not. So the interval errs to the wide side.

Not guaranteed: that the defence leaves what it defends as useful. Look at the gain and at quality beside it.
"""

import numpy as np
from numpy.typing import NDArray

from springback.elasticity.half_life import crossing
from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, mean, unmeasured

Array = NDArray[np.float64]


def price_ratio(
    at: tuple[int, ...], defended: Array, plain: Array, *, share: float = 0.5, level: float = 0.95
) -> Measured:
    """Half-life under the defence / without it, from what is left [point, item] on the same items; no unit.

    Where the defended gain is not half gone within what was read, the last place stands for it, there is no upper end
    and `why` says that the ratio is a lower bound. Unmeasured where the undefended one is not half gone, or where one
    of the two gains is not clear of 0. ValueError where points or items differ, or there are fewer than two of either.
    """
    places = np.asarray(at, dtype=np.float64)
    if defended.shape != plain.shape or plain.ndim != 2 or plain.shape[0] != places.size or min(plain.shape) < 2:
        raise ValueError(f"The same points and items: {defended.shape}, {plain.shape} at {places.size} points.")
    if why := _nothing(defended, "defended", level) or _nothing(plain, "undefended", level):
        return unmeasured(why)
    found = [float(crossing(places, one.mean(1)[None], share)[0]) for one in (defended, plain)]
    if not np.isfinite(found[1]):
        return unmeasured(f"undefended, half is not gone within {places[-1]:g} examples")
    return _measured(places, found, _drawn(places, (defended, plain), share), (plain.shape[1], level))


def _nothing(left: Array, which: str, level: float) -> str | None:
    """Why there is nothing whose loss could have a price."""
    gain = mean(left[0], over="pairs", unit="", level=level)
    clear = gain.low is not None and gain.low > 0
    return None if clear else f"{which}, there is nothing to lose: the gain is not clear of 0"


def _drawn(places: Array, both: tuple[Array, Array], share: float) -> tuple[Array, Array]:
    """Half-lives of resampled items, the same items on both sides; ∞ where a resample does not reach it."""
    n = both[0].shape[1]
    drawn = counts(n)
    defended, plain = (crossing(places, np.einsum("rn,pn->rp", drawn, one) / n, share) for one in both)
    return defended, plain


def _measured(places: Array, found: list[float], drawn: tuple[Array, Array], told: tuple[int, float]) -> Measured:
    (n, level), last = told, float(places[-1])
    tail = expanded_tail(n, level)
    estimate = min(found[0], last) / found[1]
    low = float(np.quantile(np.minimum(drawn[0], last) / drawn[1], tail, method="lower"))
    high = float(np.quantile(drawn[0] / np.minimum(drawn[1], last), 1 - tail, method="higher"))
    bounded = np.isfinite(found[0])
    open_end = None if np.isfinite(high) and bounded else f"within {last:g} examples"
    why = open_end and (
        f"no upper end: defended, not every resample is half gone {open_end}" if bounded
        else f"at least: defended, half is not gone {open_end}"
    )  # fmt: skip
    return Measured(estimate, min(low, estimate), None if open_end else max(high, estimate), level, n, "pairs", "", why)
