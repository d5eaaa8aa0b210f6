"""The grid of an audit: which chains of training are run, from where, and at which sizes they are read.

Constant learning rate and a fixed order make the model after N examples *be* the N-example run, so one chain
passes through all its sizes. A chain that begins at a cell needs that cell's weights. Torch-free.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from springback.experiments.audit.config import Audit
from springback.experiments.audit.thresholds import cheap_sizes

Part = Literal["align", "reverse", "benign", "continuation"]
Arm = Literal["main", "benign", "from_start", "continuation", "noise"]
GIVEN = "given"


@runtime_checkable
class Station(Protocol):
    """A point of any experiment's chains: what its weights are kept and its readings stored under."""

    @property
    def id(self) -> str:
        """Unique in a run; names its records and its checkpoint."""
        ...

    @property
    def seed(self) -> int: ...

    @property
    def arm(self) -> str: ...

    @property
    def phase(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Point:
    """One cell of the grid: how many examples it was aligned on, then reversed on.

    `aligned` is `given` for a MODEL that came aligned, nobody knows on how many. The arm `noise` is a second draw of
    the start.
    """

    seed: int
    arm: Arm
    aligned: int | str
    reversed: int

    @property
    def id(self) -> str:
        return f"{self.seed}/{self.arm}/{self.aligned}/{self.reversed}"

    @property
    def phase(self) -> Literal["start", "aligned", "reversed"]:
        return "reversed" if self.reversed else "aligned" if self.aligned else "start"


@dataclass(frozen=True, slots=True)
class Chain:
    """Training on one part of the data, from `origin` (None: the start), read at each of `points`."""

    part: Part
    origin: Point | None
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        return f"{self.points[0].seed}/{self.part}/{self.origin.id if self.origin else 'start'}"

    def examples(self, point: Point) -> int:
        """How many examples of the part have been trained on at a point of this chain."""
        return point.reversed if self.part in ("reverse", "continuation") else int(point.aligned)

    def before(self, point: Point) -> int:
        """Examples at the point before this one in the chain; 0 for the first."""
        index = self.points.index(point)
        return self.examples(self.points[index - 1]) if index else 0


@dataclass(frozen=True, slots=True)
class Grid:
    """All chains in the order in which they are run; a chain's origin lies on an earlier one."""

    starts: tuple[Point, ...]
    given: tuple[Point, ...]
    chains: tuple[Chain, ...]

    def points(self) -> Iterator[Point]:
        yield from self.starts
        yield from self.given
        for chain in self.chains:
            yield from chain.points

    def origins(self) -> set[Point]:
        """Points whose weights a later chain needs."""
        return {chain.origin for chain in self.chains if chain.origin is not None}

    def chain_of(self, point: Point) -> Chain:
        return next(chain for chain in self.chains if point in chain.points)

    def label(self, point: Point) -> str:
        """What a page calls a point."""
        main = "model" if point.aligned == GIVEN else f"aligned, N = {point.aligned}"
        before = {"benign": f"benign-tuned, N = {point.aligned}", "from_start": "start"}.get(point.arm, main)
        after = "benign continuation" if point.arm == "continuation" else "reversed"
        if point.phase == "start":
            return "start, drawn again" if point.arm == "noise" else "start"
        return f"{before}; {after}, n = {point.reversed}" if point.reversed else before

    def arms(self) -> list[str]:
        return list(dict.fromkeys(point.arm for point in self.points()))

    def examples(self) -> int:
        """Examples trained on when nothing has been done yet."""
        return sum(chain.examples(chain.points[-1]) for chain in self.chains)


def grid(config: Audit) -> Grid:
    """The arms of `config`, main first: what a verdict needs most is measured first.

    The largest n is asked of the most aligned model only. The other arms are read up to the dearest size on which a
    verdict may rest (the largest n ≤ N/4), the two guards at that size. `--arms all` reads every arm at every size, the
    reversal from the start first: what it predicts (`elasticity.interference`) is known before the sweep.
    """
    starts, given, chains = [], [], []
    for seed in config.seeds:
        starts += [Point(seed, "main", 0, 0), *([Point(seed, "noise", 0, 0)] if config.arms != "core" else [])]
        if config.base is not None:
            given.append(Point(seed, "main", GIVEN, 0))
        if config.trains:
            chains += _chains(config, seed)
    return Grid(tuple(starts), tuple(given), tuple(chains))


def _chains(config: Audit, seed: int) -> Iterator[Chain]:
    last, sizes = config.align_sizes[-1], config.reverse_sizes
    main: list[int | str] = [GIVEN] if config.base is not None else list(config.align_sizes)
    dearest = (cheap_sizes(main[-1], sizes) or sizes)[-1]
    others = sizes if config.arms == "all" else tuple(n for n in sizes if n <= dearest)
    guards = sizes if config.arms == "all" else (dearest,)
    most = Point(seed, "main", main[-1], 0)
    from_start = Chain("reverse", None, tuple(Point(seed, "from_start", 0, n) for n in guards))
    if config.arms == "all":
        yield from_start
    if config.base is None:
        yield Chain("align", None, tuple(Point(seed, "main", size, 0) for size in config.align_sizes))
    yield _after(most, "reverse", sizes)
    yield Chain("benign", None, (Point(seed, "benign", last, 0),))
    yield _after(Point(seed, "benign", last, 0), "reverse", others)
    for size in main[:-1]:
        yield _after(Point(seed, "main", size, 0), "reverse", others)
    if config.arms == "core":
        return
    if config.arms != "all":
        yield from_start
    continued = tuple(Point(seed, "continuation", main[-1], n) for n in guards)
    yield Chain("continuation", most, continued)


def _after(origin: Point, part: Part, sizes: tuple[int, ...]) -> Chain:
    points = tuple(Point(origin.seed, origin.arm, origin.aligned, n) for n in sizes)
    return Chain(part, origin, points)
