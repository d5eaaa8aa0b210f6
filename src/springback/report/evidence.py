"""A stored run as the page reads it: points of the grid, contrasts, tests, each with the record that it came from.

Any subset of records is enough; what a run lacks is empty here and *not measured* on the page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from springback.report.point import Body, Contrast, Point, Size, contrast, order, point, size_of
from springback.report.value import Real, finite

Records = Mapping[str, Mapping[str, Body]]


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
        found = (point(key, body) for key, body in self.kind("cell").items())
        return tuple(sorted(found, key=lambda p: (p.seed, p.arm, order(p.aligned), p.reversed)))

    @cached_property
    def contrasts(self) -> tuple[Contrast, ...]:
        return tuple(contrast(name, body) for name, body in self.kind("contrast").items())

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
    def batch(self) -> Real:
        """Examples a step, from the first cell that took one; 8 where none did."""
        for cell in self.points:
            for phase in ("align", "reverse"):
                if steps := cell.moved("steps", phase=phase):
                    return max(1.0, cell.moved("examples", phase=phase) / steps)
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
        return (size_of(verdict.get("N")), int(n)) if n else None

    @cached_property
    def _by_place(self) -> dict[tuple[int, str, Size, int], Point]:
        return {(p.seed, p.arm, p.aligned, p.reversed): p for p in self.points}
