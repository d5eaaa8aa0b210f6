"""The difference of two numbers that were measured on different draws."""

import math

from springback.stats.measured import Measured, unmeasured


def difference(first: Measured, second: Measured) -> Measured:
    """The first less the second, with the interval that their two intervals imply.

    MOVER (Zou and Donner 2008, *Statistics in Medicine* 27), for independent readings only. On the same items a paired
    difference is sharper: `stats.measured.mean` of it.
    """
    if first.estimate is None or first.low is None or first.high is None:
        return unmeasured(first.why or "no interval")
    if second.estimate is None or second.low is None or second.high is None:
        return unmeasured(second.why or "no interval")
    centre = first.estimate - second.estimate
    down = math.hypot(first.estimate - first.low, second.high - second.estimate)
    up = math.hypot(first.high - first.estimate, second.estimate - second.low)
    n = min(first.n, second.n)
    return Measured(centre, centre - down, centre + up, first.level, n, first.over, first.unit)
