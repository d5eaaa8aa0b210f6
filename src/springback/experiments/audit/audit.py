"""Run a grid: tune along its chains, read every point, keep what later chains begin from; resume at the point.

Knows neither torch nor models: a `Laboratory` does the work, so a stand-in of known law can take its place.
A point's records are stored together, the `cell` last; what is stored is never measured again. A chain that must go
on after an interruption is tuned again from its last kept weights, which gives the same weights bit for bit.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.grid import Chain, Grid, Part, Point
from springback.experiments.audit.progress import Progress
from springback.store.run import Run

Record = tuple[str, str, Mapping[str, Any]]
"""Kind, key and body of one record."""


@runtime_checkable
class Laboratory(Protocol):
    """What an audit needs of a model. Every method is deterministic given the seed of the point."""

    def begin(self, origin: Point | None, seed: int) -> None:
        """Put the weights of `origin` (None: the start) on the bench, with a fresh optimiser state."""

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        """Train on examples [first, last) of a part, one optimiser step a yield."""
        ...

    def settle(self) -> None:
        """The chain is not trained any further: let go of the optimiser's state."""

    def keep(self, point: Point) -> None:
        """Make the weights on the bench durable."""

    def kept(self, point: Point) -> bool:
        """Whether intact weights of this point are there."""
        ...

    def read(self, point: Point) -> Iterable[Record]:
        """All records of a point, measured on the weights on the bench; its cell last."""
        ...

    def extras(self, point: Point) -> Iterable[str]:
        """Names of the deeper readings due at a point (`prefill`, `layers`, `strip`)."""
        ...

    def read_extra(self, name: str, point: Point) -> Iterable[Record]:
        """Records of one deeper reading, measured on the weights on the bench."""
        ...


def audit(grid: Grid, run: Run, laboratory: Laboratory, progress: Progress) -> Iterator[str]:
    """Yield the id of each point as it becomes complete, those stored before first."""
    done = {point for point in grid.points() if _complete(point, run, laboratory)}
    yield from (point.id for point in grid.points() if point in done)
    for point in (*grid.starts, *grid.given):
        if point not in done:
            laboratory.begin(point if point in grid.given else None, point.seed)
            _read(point, run, laboratory, progress)
            yield point.id
    for chain in grid.chains:
        missing = [point for point in chain.points if point not in done]
        if missing:
            yield from _follow(chain, missing, grid, run, laboratory, progress)


def _follow(
    chain: Chain, missing: list[Point], grid: Grid, run: Run, laboratory: Laboratory, progress: Progress
) -> Iterator[str]:
    """Tune along a chain up to its last missing point, reading the missing ones."""
    _stand_at(chain.origin, chain.points[0].seed, grid, laboratory, progress)
    origins = grid.origins()
    for point in chain.points[: chain.points.index(missing[-1]) + 1]:
        _tune(chain, point, laboratory, progress)
        if point == missing[-1]:
            laboratory.settle()
        if point in origins and not laboratory.kept(point):
            laboratory.keep(point)
        if point in missing:
            _read(point, run, laboratory, progress)
            yield point.id


def _stand_at(origin: Point | None, seed: int, grid: Grid, laboratory: Laboratory, progress: Progress) -> None:
    """Bring the weights of `origin` to the bench, tuning them again where they were not kept."""
    if origin is None or origin in grid.given or laboratory.kept(origin):
        laboratory.begin(origin, seed)
        return
    chain = grid.chain_of(origin)
    _stand_at(chain.origin, seed, grid, laboratory, progress)
    for point in chain.points[: chain.points.index(origin) + 1]:
        _tune(chain, point, laboratory, progress)
    laboratory.keep(origin)
    laboratory.begin(origin, seed)


def _tune(chain: Chain, point: Point, laboratory: Laboratory, progress: Progress) -> None:
    before, after = chain.before(point), chain.examples(point)
    for _ in progress.steps(laboratory.tune(chain.part, before, after), examples=after - before, label=point.id):
        pass


def _read(point: Point, run: Run, laboratory: Laboratory, progress: Progress) -> None:
    """Store a point's readings, then the deeper ones that are due there; each lot is one transaction."""
    if run.get("cell", point.id) is None:
        began = time.monotonic()
        with progress.work("point", label=point.id), run.together():
            for kind, key, body in laboratory.read(point):
                cost = {"seconds": time.monotonic() - began} if kind == "cell" else None
                run.append(kind, key, body, cost=cost)
    for name in laboratory.extras(point):
        if run.get("reading", f"{point.id}/{name}") is None:
            with progress.work(name, label=point.id), run.together():
                for kind, key, body in laboratory.read_extra(name, point):
                    run.append(kind, key, body)
                run.append("reading", f"{point.id}/{name}", {"cell": point.id, "name": name})


def _complete(point: Point, run: Run, laboratory: Laboratory) -> bool:
    if run.get("cell", point.id) is None:
        return False
    return all(run.get("reading", f"{point.id}/{name}") is not None for name in laboratory.extras(point))
