"""One measured number as a page holds it: estimate, interval, what it counts, and the record that it came from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Real = float | int
"""A number as JSON gives it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A measured number, or the reason why there is none."""

    estimate: Real | None
    """The point estimate in `unit`; None where it could not be measured or must not be quoted."""
    low: Real | None = None
    """Lower end of the interval; None where the record holds none."""
    high: Real | None = None
    """Upper end of the interval."""
    n: int = 0
    """How many `over` there were."""
    over: str = ""
    """What the interval is over: prompts, documents, pairs or seeds."""
    unit: str = ""
    why: str = ""
    """Why there is no estimate."""
    record: str = ""
    """`kind:key` of the record."""

    @property
    def known(self) -> bool:
        return self.estimate is not None

    def decided(self, reference: Real = 0.0) -> bool:
        """The interval is clear of the reference; a bare number decides nothing."""
        if self.low is None or self.high is None:
            return False
        return self.low > reference or self.high < reference


def value(body: Any, record: str, *, unit: str = "", why: str = "not in the stored run") -> Value:
    """Read one number of a record: a measured object, a bare number, or nothing."""
    if isinstance(body, Mapping):
        return _measured(body, record, unit)
    number = finite(body)
    return Value(number, unit=unit, record=record, why="" if number is not None else why)


def finite(number: Any) -> Real | None:
    """A float that a page can draw; None for anything else."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return number if math.isfinite(number) else None


def _measured(body: Mapping[str, Any], record: str, unit: str) -> Value:
    estimate = finite(body.get("estimate"))
    return Value(
        estimate,
        finite(body.get("low")) if estimate is not None else None,
        finite(body.get("high")) if estimate is not None else None,
        n=int(finite(body.get("n")) or 0),
        over=str(body.get("over") or ""),
        unit=str(body.get("unit") or unit),
        why=str(body.get("why") or ("" if estimate is not None else "no reason was stored")),
        record=record,
    )
