"""What a defence makes an undoing cost: the half-life of an alignment under it, over its half-life without.

Both are read on the same items, which are drawn together (see `half_life`); above 1 the defence makes undoing dearer.
Not guaranteed: that the defence leaves what it defends as useful. Look at the gain and at quality beside it.
"""

import numpy as np
from numpy.typing import NDArray

from springback.elasticity.half_life import crossing
from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, unmeasured

Array = NDArray[np.float64]


def price_ratio(
    at: tuple[int, ...], defended: Array, plain: Array, *, share: float = 0.5, level: float = 0.95
) -> Measured:
    """Half-life under the defence / without it, from what is left [point, item] on the same items.

    Where the defended gain is not half gone within what was read, the last place stands for it and `why` says that the
    ratio is a lower bound. Unmeasured where the undefended one is not half gone, or there was nothing to lose.
    """
    places = np.asarray(at, dtype=np.float64)
    if defended.shape != plain.shape or defended.shape[0] != places.size:
        raise ValueError(f"The same points and items: {defended.shape}, {plain.shape} at {places.size} points.")
    n = plain.shape[1]
    drawn = [_places(places, np.einsum("rn,pn->rp", counts(n), one) / n, share) for one in (defended, plain)]
    found = [float(_places(places, one.mean(1)[None], share)[0]) for one in (defended, plain)]
    if plain[0].mean() <= 0 or defended[0].mean() <= 0:
        return unmeasured("there was no gain to lose")
    if not np.isfinite(found[1]):
        return unmeasured(f"without the defence half is not gone within {places[-1]:g} examples")
    bounded = not np.isfinite(found[0])
    top = np.minimum(drawn[0], places[-1])
    ratios = top / drawn[1]  # 0 where the undefended one is not half gone in a draw
    tail = expanded_tail(n, level)
    estimate = min(found[0], float(places[-1])) / found[1]
    low, high = float(np.quantile(ratios, tail)), float(np.quantile(ratios, 1 - tail))
    why = f"at least: under the defence half is not gone within {places[-1]:g} examples" if bounded else None
    return Measured(estimate, min(low, estimate), None if bounded else max(high, estimate), level, n, "pairs", "", why)


def _places(at: Array, means: Array, share: float) -> Array:
    return crossing(at, means, share)
