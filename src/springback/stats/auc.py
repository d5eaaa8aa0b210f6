"""Area under the ROC curve: how often a wanted answer scores above an opposite one."""

from collections.abc import Sequence

import numpy as np

from springback.stats.bootstrap import student_quantile
from springback.stats.measured import Measured, Values, finite, unmeasured
from springback.stats.rank import ranks


def auc(scores: Values, wanted: Sequence[bool] | np.ndarray, *, over: str = "answers", level: float = 0.95) -> Measured:
    """P(score of a wanted > score of an opposite) + ½ P(equal), in [0, 1]: 1 separates, ½ is chance.

    Interval: the areas from which the one seen lies no more than z standard errors away, with Hanley and McNeil's
    variance at that area (Newcombe 2006, *Statistics in Medicine* 25, method 5). Unlike DeLong's it has a width where
    the scores separate completely. Unmeasured where one side is missing.
    """
    x, side = finite(scores), np.asarray(wanted, dtype=bool)
    if x.size != side.size:
        raise ValueError(f"One label per score: got {side.size} labels and {x.size} scores")
    above, below = int(side.sum()), int((~side).sum())
    if not above or not below:
        return unmeasured(f"only one kind of {over} is there: {above} wanted, {below} opposite")
    area = (float(ranks(x)[side].sum()) - above * (above + 1) / 2) / (above * below)
    z = student_quantile(0.5 + level / 2, 10**9)
    low, high = _edge(area, 0.0, above, below, z), _edge(area, 1.0, above, below, z)
    return Measured(area, low, high, level, x.size, over, "AUC")


def _edge(area: float, end: float, above: int, below: int, z: float) -> float:
    """The farthest area towards `end` that z standard errors still reach, by halving."""
    near, far = area, end
    for _ in range(60):
        middle = (near + far) / 2
        within = (area - middle) ** 2 <= z**2 * _variance(middle, above, below)
        near, far = (middle, far) if within else (near, middle)
    return near


def _variance(area: float, above: int, below: int) -> float:
    mean_less_one = (above + below) / 2 - 1
    spread = (1 - area) / (2 - area) + area / (1 + area)
    return area * (1 - area) * (1 + mean_less_one * spread) / (above * below)
