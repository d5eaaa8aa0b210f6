"""Progress with a remaining time that can be believed: work is counted in units whose cost is measured on the way.

Until a kind of work has been measured, its cost is the estimate of the plan, scaled by how the measured kinds
compare with theirs.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


class Progress:
    """`planned` counts units by kind (`example`, `point`, `prefill`, …), `guess` is seconds a unit."""

    def __init__(
        self,
        planned: Mapping[str, float],
        guess: Mapping[str, float],
        *,
        say: Callable[[str], None] | None = _print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.left = dict(planned)
        self.guess = dict(guess)
        self.done: dict[str, float] = {}
        self.spent: dict[str, float] = {}
        self.say, self.clock = say, clock
        self.began = self.said = clock()

    @contextmanager
    def work(self, kind: str, *, label: str = "", units: float = 1.0) -> Iterator[None]:
        """Count `units` of a kind as done, and their time, when the body ends well."""
        began = self.clock()
        yield
        self._count(kind, units, self.clock() - began)
        self._tell(f"{label}: {kind}" if label else kind)

    def steps(self, steps: Iterator[T], *, examples: int, label: str) -> Iterator[T]:
        """Pass optimiser steps through, counting `examples` spread evenly over them."""
        began, counted = self.clock(), 0.0
        planned = max(1, examples)
        for step in steps:
            size = float(min(getattr(step, "examples", 1), planned - counted))
            counted += size
            self._count("example", size, self.clock() - began)
            began = self.clock()
            self._tell(f"{label}: tuning", every=5.0)
            yield step
            began = self.clock()

    def remaining(self) -> float:
        """Seconds still to go, by the rates measured so far."""
        known = sum(self.guess.get(kind, 1.0) * self.done[kind] for kind in self.done)
        factor = sum(self.spent.values()) / known if known > 0 else 1.0
        return math.fsum(units * self._rate(kind, factor) for kind, units in self.left.items() if units > 0)

    def share(self) -> float:
        """Share of the expected time that has passed, in [0, 1]."""
        passed = sum(self.spent.values())
        total = passed + self.remaining()
        return passed / total if total > 0 else 1.0

    def _rate(self, kind: str, factor: float) -> float:
        if self.done.get(kind, 0.0) > 0:
            return self.spent[kind] / self.done[kind]
        return self.guess.get(kind, 1.0) * factor

    def _count(self, kind: str, units: float, seconds: float) -> None:
        self.left[kind] = max(0.0, self.left.get(kind, 0.0) - units)
        self.done[kind] = self.done.get(kind, 0.0) + units
        self.spent[kind] = self.spent.get(kind, 0.0) + seconds

    def _tell(self, what: str, every: float = 0.0) -> None:
        now = self.clock()
        if self.say is None or now - self.said < every:
            return
        self.said = now
        self.say(
            f"[{100 * self.share():3.0f} %] {what}; {now - self.began:.0f} s gone, about {self.remaining():.0f} s left"
        )
