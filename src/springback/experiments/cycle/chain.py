"""The stages of a cycle, and where each is read. Torch-free.

    main        start ─ text ─ align ─ reverse ─ realign
    benign                       └──── benign                 as many rows as the reversal, half wanted, half opposite
    unaligned            └── benign ── reverse ─ realign      as many rows as the alignment, balanced: never aligned

Constant learning rate and a fixed order make the model after n examples of a stage *be* the n-example run, so one pass
goes through all sizes of a stage. Every stage begins from the last weights of the one before, with a fresh optimiser.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from springback.experiments.cycle.config import Cycle

Stage = Literal["start", "text", "align", "reverse", "realign", "benign"]
Part = Literal["text", "align", "reverse", "realign", "benign", "continuation"]
"""Rows: `benign` is the placebo of the alignment, `continuation` that of the reversal."""
Arm = Literal["main", "benign", "unaligned"]
PHASES: Final = {
    "start": "start", "text": "text", "align": "aligned", "reverse": "reversed", "realign": "realigned",
    "benign": "benign",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a chain: so many examples into a stage, all stages before it complete."""

    seed: int
    arm: Arm
    stage: Stage
    size: int

    @property
    def id(self) -> str:
        return f"{self.seed}/{self.arm}/{self.stage}/{self.size}"

    @property
    def phase(self) -> str:
        return PHASES[self.stage]


@dataclass(frozen=True, slots=True)
class Leg:
    """One stage: training on one part of the data, from `origin` (None: the start), read at each of `points`."""

    part: Part
    origin: Place | None
    points: tuple[Place, ...]

    def before(self, point: Place) -> int:
        """Examples of the stage at the point before this one; 0 for the first."""
        index = self.points.index(point)
        return self.points[index - 1].size if index else 0


@dataclass(frozen=True, slots=True)
class Course:
    """All stages of all seeds in the order in which they are run; a stage's origin lies on an earlier one."""

    legs: tuple[Leg, ...]

    @property
    def seeds(self) -> list[int]:
        return list(dict.fromkeys(leg.points[0].seed for leg in self.legs))

    def points(self) -> Iterator[Place]:
        for seed in self.seeds:
            yield start(seed)
            yield from (point for leg in self.of_seed(seed) for point in leg.points)

    def of_seed(self, seed: int) -> list[Leg]:
        return [leg for leg in self.legs if leg.points[0].seed == seed]

    def origins(self) -> set[Place]:
        """Points whose weights a later stage needs."""
        return {leg.origin for leg in self.legs if leg.origin is not None}

    def leg_of(self, point: Place) -> Leg:
        return next(leg for leg in self.legs if point in leg.points)

    def leg(self, seed: int, arm: Arm, stage: Stage) -> Leg | None:
        """The stage of an arm, or None where it is not run."""
        found = (leg for leg in self.of_seed(seed) if (leg.points[0].arm, leg.points[0].stage) == (arm, stage))
        return next(found, None)

    def behind(self, point: Place) -> list[tuple[Place, Part]]:
        """What a model was tuned on, stage after stage: the last point of each, this one last."""
        if point.stage == "start":
            return []
        leg = self.leg_of(point)
        return [*([] if leg.origin is None else self.behind(leg.origin)), (point, leg.part)]

    def examples(self) -> int:
        """Examples trained on when nothing has been done yet."""
        return sum(leg.points[-1].size for leg in self.legs)


def start(seed: int) -> Place:
    return Place(seed, "main", "start", 0)


def course(config: Cycle) -> Course:
    """The stages of `config`; placebos are read where a question needs them."""
    return Course(tuple(leg for seed in config.seeds for leg in _legs(config, seed)))


def _legs(config: Cycle, seed: int) -> Iterator[Leg]:
    text = _leg("text", None, seed, "main", "text", config.text_sizes)
    align = _leg("align", text.points[-1], seed, "main", "align", config.align_sizes)
    reverse = _leg("reverse", align.points[-1], seed, "main", "reverse", config.reverse_sizes)
    realign = _leg("realign", reverse.points[-1], seed, "main", "realign", config.realign_sizes)
    yield from (text, align, reverse, realign)
    yield _leg("continuation", align.points[-1], seed, "benign", "benign", config.reverse_sizes)
    if config.arms == "all":
        benign = _leg("benign", text.points[-1], seed, "unaligned", "benign", config.align_sizes[-1:])
        turned = _leg("reverse", benign.points[-1], seed, "unaligned", "reverse", config.reverse_sizes[-1:])
        yield from (benign, turned)
        yield _leg("realign", turned.points[-1], seed, "unaligned", "realign", config.realign_sizes)


def _leg(part: Part, origin: Place | None, seed: int, arm: Arm, stage: Stage, sizes: tuple[int, ...]) -> Leg:
    return Leg(part, origin, tuple(Place(seed, arm, stage, size) for size in sizes))
