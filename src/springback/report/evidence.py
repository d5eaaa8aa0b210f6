"""A stored run as the page reads it: points of the grid, contrasts, tests, each with the record that it came from.

Any subset of records is enough; what a run lacks is empty here and *not measured* on the page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from springback.report.value import Value, finite, value

Body = Mapping[str, Any]
Records = Mapping[str, Mapping[str, Body]]

Size = int | str
"""Examples, or `given` for a model that came aligned."""

GIVEN: Final = "given"
GAMMA_TEXTS: Final = ("aligned", "reversed", "neutral")


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

    def moved(self, unit: str, *, phase: str) -> float:
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
    smallest: float | None
    """The smallest difference that this n could have seen."""
    body: Body


@dataclass(frozen=True)
class Evidence:
    """All that a page may say."""

    records: Records
    """kind → key → body."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """The whole of `run.json`."""

    def kind(self, kind: str) -> Mapping[str, Body]:
        return self.records.get(kind) or {}

    def one(self, kind: str) -> Body:
        """The only record of its kind; empty where there is none."""
        return next(iter(self.kind(kind).values()), {})

    @cached_property
    def points(self) -> tuple[Point, ...]:
        found = (_point(key, body) for key, body in self.kind("cell").items())
        return tuple(sorted(found, key=lambda p: (p.seed, p.arm, order(p.aligned), p.reversed)))

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        return tuple(_contrast(name, body) for name, body in self.kind("contrast").items())

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({p.seed for p in self.points}))

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Alignment sizes N of the main chain, without 0."""
        return tuple(sorted({p.aligned for p in self.points if p.arm == "main" and p.aligned}, key=order))

    @property
    def reversals(self) -> tuple[int, ...]:
        """Reversal sizes n, without 0."""
        return tuple(sorted({p.reversed for p in self.points if p.reversed}))

    @property
    def largest(self) -> Size:
        """The largest N of the main chain; 0 where nothing was aligned."""
        return self.sizes[-1] if self.sizes else 0

    @cached_property
    def batch(self) -> float:
        """Examples a step, from the first cell that took one; 8 where none did."""
        for point in self.points:
            for phase in ("align", "reverse"):
                if steps := point.moved("steps", phase=phase):
                    return max(1.0, point.moved("examples", phase=phase) / steps)
        return 8.0

    def point(self, seed: int, arm: str, aligned: Size, reversed_: int) -> Point | None:
        return self._by_place.get((seed, arm, aligned, reversed_))

    def start(self, seed: int | None = None) -> Point | None:
        return self.point(self.seeds[0] if seed is None and self.seeds else seed or 0, "main", 0, 0)

    def chain(self, seed: int, arm: str, aligned: Size) -> list[Point]:
        """The model after N examples and every reversal of it, by n; the chain from the start begins with the start."""
        found = [p for p in self.points if (p.seed, p.arm, p.aligned) == (seed, arm, aligned)]
        if not found or found[0].reversed == 0:
            return found
        before = {"from_start": self.point(seed, "main", 0, 0), "continuation": self.point(seed, "main", aligned, 0)}
        head = before.get(arm)
        return [head, *found] if head else found

    @cached_property
    def exact(self) -> dict[tuple[str, str, str, Size, int, str], Contrast]:
        """Contrasts by kind, reading, arm, N, n and seed."""
        return {(c.kind, c.reading, c.arm, c.aligned, c.reversed, c.seed): c for c in self.contrasts}

    def find(self, kind: str, **where: Any) -> Iterator[Contrast]:
        """Contrasts of a kind; pooled ones where there are any, else every seed's."""
        same = [c for c in self.contrasts if c.kind == kind and all(getattr(c, k) == v for k, v in where.items())]
        pooled = {(c.reading, c.arm, c.aligned, c.reversed) for c in same if c.seed == "all"}
        yield from (c for c in same if c.seed == "all" or (c.reading, c.arm, c.aligned, c.reversed) not in pooled)

    def contrast(self, kind: str, **where: Any) -> Contrast | None:
        """The first of them."""
        return next(self.find(kind, **where), None)

    def outcome(self, contrast: Contrast) -> str | None:
        """What the test on this contrast said; None where no test was stated on it."""
        test = next((t for t in self.kind("test").values() if t.get("contrast") == contrast.name), None)
        return None if test is None else str(test.get("outcome"))

    @property
    def deciding(self) -> tuple[Size, int] | None:
        """The point (N, n) that the verdict rests on; None where it rests on none."""
        verdict = self.one("verdict")
        n = finite(verdict.get("n"))
        return (_size(verdict.get("N")), int(n)) if n else None

    @cached_property
    def _by_place(self) -> dict[tuple[int, str, Size, int], Point]:
        return {(p.seed, p.arm, p.aligned, p.reversed): p for p in self.points}


def order(size: Size) -> float:
    """Sizes in order; a model that came aligned stands after all that were aligned here."""
    return size if isinstance(size, int) else float("inf")


def _point(key: str, body: Body) -> Point:
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


def _contrast(name: str, body: Body) -> Contrast:
    smallest = finite(body.get("smallest_detectable"))
    return Contrast(
        name=name,
        reading=str(body.get("reading") or ""),
        kind=str(body.get("kind") or ""),
        arm=str(body.get("arm") or "main"),
        seed=str(body.get("seed", "all")),
        aligned=_size(body.get("N")),
        reversed=_int(body.get("n"), "0"),
        value=value(body.get("value"), f"contrast:{name}"),
        smallest=smallest,
        body=body,
    )


def _size(size: Any) -> Size:
    return GIVEN if size == GIVEN else _int(size, "0")


def _int(number: Any, otherwise: str) -> int:
    found = finite(number)
    if found is not None:
        return int(found)
    return int(otherwise) if otherwise.isdecimal() else 0
