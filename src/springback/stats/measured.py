"""A number as it was measured: estimate, interval, how many, over what, in which unit.

The interval is a bootstrap over the listed values (prompts, pairs, documents), by the expanded percentile: the plain
percentile interval is too short by √((n−1)/n) and uses normal tails, so the levels read off the resamples are moved to
Φ(∓√(n/(n−1))·t) with Student's t on n−1 degrees (Hesterberg 2015, *What Teachers Should Know About the Bootstrap*,
section 4.3). Below ten values and above some thousands Student's own interval stands.

What it does not guarantee: values that are all equal give [x, x], since they hold no information on spread; a claim
about such values needs a test that counts them (`stats.paired`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.stats.bootstrap import interval, resampled_means

Values = Sequence[float] | Sequence[int] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """An estimate with its interval, or the reason why there is none (`why`)."""

    estimate: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    n: int = 0
    """How many values it rests on."""
    over: str = ""
    """What was resampled: prompts, answers, documents, pairs, positions or seeds."""
    unit: str = ""
    why: str | None = None

    def __post_init__(self) -> None:
        given = [x for x in (self.estimate, self.low, self.high) if x is not None]
        if not np.isfinite(given).all():
            raise ValueError(f"A measured number is finite or unmeasured: got {given} ({self.unit})")
        if self.estimate is None and not self.why:
            raise ValueError("A number that was not measured must say why")

    @property
    def measured(self) -> bool:
        return self.estimate is not None

    def excludes(self, value: float) -> bool:
        """Whether the interval is clear of `value`; an unmeasured number excludes nothing."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high

    def json(self) -> dict[str, Any]:
        """As records and `--json` carry it; never NaN."""
        if self.estimate is None:
            return {"estimate": None, "why": self.why}
        return {name: getattr(self, name) for name in ("estimate", "low", "high", "level", "n", "over", "unit")}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Measured":
        """Back from `json()`; keys that a record adds beside it are ignored."""
        kept: dict[str, Any] = {name: body[name] for name in cls.__slots__ if name in body}
        numbers = {name: float(x) for name, x in kept.items() if isinstance(x, int) and name != "n"}
        return cls(**{**kept, **numbers})


def unmeasured(why: str) -> Measured:
    """A number that could not be measured, with the reason a reader is told."""
    return Measured(None, why=why)


def mean(values: Values, *, over: str, unit: str, level: float = 0.95) -> Measured:
    """Mean of one value per item, with its interval over items. ValueError where a value is not finite."""
    x = finite(values)
    if x.size < 2:
        return unmeasured(_too_few(x.size, over))
    estimate = _mean(x)
    low, high = interval(resampled_means(x), x, estimate, level=level)
    return Measured(estimate, low, high, level, x.size, over, unit)


def ratio_of_sums(numerators: Values, denominators: Values, *, over: str, unit: str, level: float = 0.95) -> Measured:
    """Σ numerators / Σ denominators (γ micro: bits over bits), items resampled whole.

    Denominators are positive sizes (ValueError otherwise); for a ratio of differences see `paired.ratio_of_means`.
    """
    top, bottom = finite(numerators), finite(denominators)
    if top.size != bottom.size or (bottom <= 0).any():
        raise ValueError(f"One positive denominator per numerator: got {top.size} and {bottom.size}")
    if top.size < 2:
        return unmeasured(_too_few(top.size, over))
    estimate = float(top.sum() / bottom.sum())
    slopes = (top - estimate * bottom) / bottom.mean()  # each item's pull on the ratio, to first order
    if np.ptp(top / bottom) == 0:
        return Measured(estimate, estimate, estimate, level, top.size, over, unit)
    low, high = interval(resampled_means(top) / resampled_means(bottom), slopes + estimate, estimate, level=level)
    return Measured(estimate, low, high, level, top.size, over, unit)


def finite(values: Values) -> NDArray[np.float64]:
    """The values as float64; ValueError where one is NaN or infinite."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(
            f"One finite value per item: got shape {x.shape} with {int((~np.isfinite(x)).sum())} not finite"
        )
    return x


def _mean(x: NDArray[np.float64]) -> float:
    return float(x[0]) if np.ptp(x) == 0 else float(x.mean())  # the mean of equal values is that value, to the bit


def _too_few(n: int, over: str) -> str:
    return f"{n} {over.removesuffix('s') if n == 1 else over}: an interval needs at least 2"
