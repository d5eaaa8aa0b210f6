"""A measured cell and a paired contrast, as a page reads them from their records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from springback.report.value import Real, Value, finite, value

Body = Mapping[str, Any]
GAMMA_TEXTS: Final = ("aligned", "reversed", "neutral")
Size = int | str
"""Examples, or `given` for a model that came aligned."""

GIVEN: Final = "given"


@dataclass(frozen=True, slots=True)
class Point:
    """One measured cell of the grid."""

    id: str
    seed: int
    arm: str
    """main, benign, from_start or continuation."""
    aligned: Size
    """Examples that it was aligned on (N)."""
    reversed: int
    """Examples of the reversal after that (n)."""
    body: Body = field(compare=False)

    @property
    def record(self) -> str:
        return f"cell:{self.id}"

    @property
    def label(self) -> str:
        return str(self.body.get("label") or self.id)

    @property
    def degenerate(self) -> str | None:
        """Why this model's score must not be quoted; None where it answers."""
        state = self.body.get("state") or {}
        return str(state.get("why") or "degenerate") if state.get("name") == "degenerate" else None

    def moved(self, unit: str, *, phase: str) -> Real:
        """Examples, supervised tokens or optimiser steps of the `align` or `reverse` phase."""
        return finite((self.body.get(phase) or {}).get(unit)) or 0.0

    def score(self) -> Value:
        read = value((self.body.get("behaviour") or {}).get("score"), self.record, unit="probability")
        if self.degenerate is None or not read.known:
            return read
        return Value(None, unit=read.unit, why=f"degenerate: {self.degenerate}", record=self.record)

    def margin(self) -> Value:
        return value((self.body.get("behaviour") or {}).get("margin"), self.record, unit="bit/bit")

    def gamma(self, text: str, kind: str = "micro") -> Value:
        return value(((self.body.get("gamma") or {}).get(text) or {}).get(kind), self.record, unit="bit/bit")

    def kl(self, direction: str = "kl_from_start") -> Value:
        return value(self.body.get(direction), self.record, unit="bit/token")


@dataclass(frozen=True, slots=True)
class Contrast:
    """One paired difference, share or slope."""

    name: str
    reading: str
    kind: str
    arm: str
    seed: str
    aligned: Size
    reversed: int
    value: Value
    smallest: Real | None
    """The smallest difference that this n could have seen."""
    body: Body


def order(size: Size) -> Real:
    """Sizes in order; a model that came aligned stands after all that were aligned here."""
    return size if isinstance(size, int) else float("inf")


def point(key: str, body: Body) -> Point:
    name = str(body.get("id") or key)
    seed, arm, aligned, reversed_ = [*name.split("/"), "", "", "", ""][:4]
    return Point(
        id=key,
        seed=_int(body.get("seed"), seed),
        arm=str(body.get("arm") or arm or "main"),
        aligned=GIVEN if aligned == GIVEN else _int((body.get("align") or {}).get("examples"), aligned),
        reversed=_int((body.get("reverse") or {}).get("examples"), reversed_),
        body=body,
    )


def contrast(name: str, body: Body) -> Contrast:
    smallest = finite(body.get("smallest_detectable"))
    return Contrast(
        name=name,
        reading=str(body.get("reading") or ""),
        kind=str(body.get("kind") or ""),
        arm=str(body.get("arm") or "main"),
        seed=str(body.get("seed", "all")),
        aligned=size_of(body.get("N")),
        reversed=_int(body.get("n"), "0"),
        value=value(body.get("value"), f"contrast:{name}"),
        smallest=smallest,
        body=body,
    )


def size_of(size: Any) -> Size:
    return GIVEN if size == GIVEN else _int(size, "0")


def _int(number: Any, otherwise: str) -> int:
    found = finite(number)
    if found is not None:
        return int(found)
    return int(otherwise) if otherwise.isdecimal() else 0
