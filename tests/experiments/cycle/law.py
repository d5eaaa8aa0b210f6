"""A stand-in of known law: a margin and a text's rate, each pulled to a level with a half-life in examples."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from springback.experiments.cycle.chain import Course, Part, Place
from springback.experiments.cycle.walk import Record

PAIRS, DOCUMENTS = 14, 12
NEVER = float("inf")


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class State:
    """The weights."""

    margin: float = 0.0
    text: float = 0.0
    """How much shorter held-out text has become: γ = 1 − text."""
    aligned: bool = False


@dataclass(kw_only=True)
class Law:
    """A `Laboratory`. Half-lives in examples; the margin is pulled to 1, by a reversal or benign rows to 0."""

    course: Course
    align: float = 16.0
    reverse: float = 8.0
    benign: float = NEVER
    realign: float = 16.0
    """Of a model that was aligned before; one that never was takes `never_aligned`."""
    never_aligned: float = 16.0
    text: float = 8.0
    worn: float = 32.0
    """Of the text's gain, in every later stage."""
    noise: float = 0.0
    spread: float = 0.02
    """Of the items around the law; the same at every point."""
    draw: int = 0
    """Of the noise."""
    of_seeds: float = 0.0
    """Seeds 0, 1, 2 have their re-alignment's half-life multiplied by 1 − x, 1, 1 + x."""
    disk: dict[Place | None, State] = field(default_factory=lambda: {None: State()})
    lives: int = 10**9
    """Units of work before the process dies; what was kept survives in `disk`."""
    tuned: list[tuple[Part, int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    state: State = State()
    seed: int = 0
    settled: bool = False
    fresh: bool = False

    def begin(self, origin: Place | None, seed: int) -> None:
        self.state, self.seed, self.settled, self.fresh = self.disk[origin], seed, False, True

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        assert not self.settled, "trained on after its optimiser state was let go"
        assert self.fresh == (first == 0), "a stage begins with a fresh optimiser state, and only there"
        self.fresh = False
        for _ in range(first, last, 2):
            self._live()
            self.state = self._pulled(part, 2)
            yield None
        self.tuned.append((part, last))

    def settle(self) -> None:
        self.settled = True

    def keep(self, point: Place) -> None:
        self._live()
        self.disk[point] = self.state

    def kept(self, point: Place) -> bool:
        return point in self.disk

    def forget(self, point: Place) -> None:
        if self.disk.pop(point, None) is not None:
            self.forgotten.append(point.id)

    def read(self, point: Place) -> Iterable[Record]:
        self._live()
        still = np.random.default_rng(7)
        drawn = np.random.default_rng([point.size, *point.stage.encode(), *point.arm.encode(), point.seed, self.draw])
        for kind, n in (("pair", PAIRS), ("document", DOCUMENTS)):
            items = self.spread * still.standard_normal(n) + self.noise * drawn.standard_normal(n)
            for index, item in enumerate(items):
                yield kind, f"{point.id}/{index}", {"cell": point.id, "index": index, **self._body(kind, float(item))}
        behind = {place.stage: {"examples": place.size, "tokens": 5 * place.size, "steps": place.size // 2}
                  for place, _ in self.course.behind(point)}  # fmt: skip
        yield "cell", point.id, {"id": point.id, "seed": point.seed, "arm": point.arm, "stage": point.stage,
                                 "size": point.size, "behind": behind}  # fmt: skip

    def _body(self, kind: str, item: float) -> dict[str, float | int]:
        if kind == "pair":
            return {"margin": self.state.margin + item}
        return {"bits": 80 * (2 - self.state.text + item), "bytes": 10}

    def _pulled(self, part: Part, examples: int) -> State:
        levels = {"align": 1.0, "realign": 1.0, "reverse": 0.0, "benign": 0.0, "continuation": 0.0}
        half = {"align": self.align, "realign": self._realign(), "reverse": self.reverse, "benign": self.benign,
                "continuation": self.benign}  # fmt: skip
        if part == "text":
            return State(self.state.margin, _to(1.0, self.state.text, examples / self.text), self.state.aligned)
        margin = _to(levels[part], self.state.margin, examples / half[part])
        text = _to(0.0, self.state.text, examples / self.worn)
        return State(margin, text, self.state.aligned or part == "align")

    def _realign(self) -> float:
        if not self.state.aligned:
            return self.never_aligned
        return self.realign * (1 + self.of_seeds * (self.seed - 1))

    def _live(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed


def _to(level: float, now: float, half_lives: float) -> float:
    return level + (now - level) * 2.0**-half_lives
