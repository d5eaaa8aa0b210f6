"""Walk the stages of a cycle: tune, read every point, keep the last weights of each stage; resume at the point.

Knows neither torch nor models: a `Laboratory` does the work, so a stand-in of known law can take its place. A point's
records are one transaction; what is stored is never measured again. A stage that must go on after an interruption is
tuned again from the weights kept at the end of the one before it, which gives the same weights bit for bit.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.progress import Progress
from springback.experiments.cycle.chain import Course, Leg, Part, Place, start
from springback.store.run import Run

Record = tuple[str, str, Mapping[str, Any]]
"""Kind, key and body of one record."""


@runtime_checkable
class Laboratory(Protocol):
    """What a cycle needs of a model. Every method is deterministic given the seed."""

    def begin(self, origin: Place | None, seed: int) -> None:
        """Put the weights of `origin` (None: the start) on the bench, with a fresh optimiser state."""

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        """Train on examples [first, last) of a part, one optimiser step a yield."""
        ...

    def settle(self) -> None:
        """The stage is not trained any further: let go of the optimiser's state."""

    def keep(self, point: Place) -> None:
        """Make the weights on the bench durable."""

    def kept(self, point: Place) -> bool:
        """Whether intact weights of this point are there."""
        ...

    def forget(self, point: Place) -> None:
        """Delete kept weights; nothing where there are none."""

    def read(self, point: Place) -> Iterable[Record]:
        """All records of a point, measured on the weights on the bench; its cell last."""
        ...


def walk(course: Course, run: Run, laboratory: Laboratory, progress: Progress) -> Iterator[str]:
    """Yield the id of each point as it becomes complete, those stored before first."""
    done = set(run.keys("cell"))
    yield from (point.id for point in course.points() if point.id in done)
    for seed in course.seeds:
        if start(seed).id not in done:
            laboratory.begin(None, seed)
            _read(start(seed), run, laboratory, progress)
            yield start(seed).id
        for leg in course.of_seed(seed):
            missing = [point for point in leg.points if point.id not in done]
            if missing:
                yield from _follow(leg, missing, course, run, laboratory, progress)
        for point in course.origins():
            if point.seed == seed:
                laboratory.forget(point)


def _follow(
    leg: Leg, missing: list[Place], course: Course, run: Run, laboratory: Laboratory, progress: Progress
) -> Iterator[str]:
    """Tune through a stage up to its last missing point, reading the missing ones."""
    _stand_at(leg.origin, missing[0].seed, course, laboratory, progress)
    for point in leg.points[: leg.points.index(missing[-1]) + 1]:
        _tune(leg, point, laboratory, progress)
        if point == missing[-1]:
            laboratory.settle()
        if point in course.origins() and not laboratory.kept(point):
            laboratory.keep(point)
        if point in missing:
            _read(point, run, laboratory, progress)
            yield point.id


def _stand_at(origin: Place | None, seed: int, course: Course, laboratory: Laboratory, progress: Progress) -> None:
    """Bring the weights of `origin` to the bench, tuning its stage again where they were not kept."""
    if origin is not None and not laboratory.kept(origin):
        leg = course.leg_of(origin)
        _stand_at(leg.origin, seed, course, laboratory, progress)
        for point in leg.points:
            _tune(leg, point, laboratory, progress)
        laboratory.keep(origin)
    laboratory.begin(origin, seed)


def _tune(leg: Leg, point: Place, laboratory: Laboratory, progress: Progress) -> None:
    before = leg.before(point)
    steps = laboratory.tune(leg.part, before, point.size)
    for _ in progress.steps(steps, examples=point.size - before, label=point.id):
        pass


def _read(point: Place, run: Run, laboratory: Laboratory, progress: Progress) -> None:
    began = time.monotonic()
    with progress.work("point", label=point.id), run.together():
        for kind, key, body in laboratory.read(point):
            cost = {"seconds": time.monotonic() - began} if kind == "cell" else None
            run.append(kind, key, body, cost=cost)
