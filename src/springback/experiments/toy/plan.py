"""Which chains of training a toy run needs, in which groups they train side by side, and which cells they give.

Arm `main`: untrained → base (N_p) → aligned (N_a) → reversed (n). Arm `placebo`: base → as many pretraining strings →
reversed. Arm `from_base`: base → reversed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from springback.experiments.toy.config import Toy

Arm = Literal["main", "placebo", "from_base"]
Phase = Literal["pretrain", "align", "reverse"]
ARMS: Final[tuple[Arm, Arm]] = ("main", "placebo")
"""What is aligned, or as if."""
STACK: Final = 8
"""Chains that train side by side at most: more gain nothing on a core, and a killed run would lose more."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One point: a model that is read. Sizes in strings."""

    seed: int
    pretrain: int
    mix: float
    arm: Arm
    aligned: int
    """N_a; 0 in the arm `from_base`."""
    reversed: int
    """n."""

    @property
    def key(self) -> str:
        return f"{self.seed}/{self.place}"

    @property
    def place(self) -> str:
        """The key without the seed."""
        return f"{self.pretrain}/{self.mix:g}/{self.arm}/{self.aligned}/{self.reversed}"

    @property
    def phase(self) -> str:
        return "reversed" if self.reversed else "aligned" if self.aligned else "start"


@dataclass(frozen=True, slots=True)
class Chain:
    """One training from an origin through nested sizes. `sizes` are read on the way."""

    phase: Phase
    seed: int
    pretrain: int
    mix: float
    arm: Arm
    aligned: int
    sizes: tuple[int, ...]

    @property
    def key(self) -> str:
        if self.phase == "pretrain":
            return f"pretrain/{self.seed}"
        tail = f"/{self.aligned}" if self.phase == "reverse" else ""
        return f"{self.phase}/{self.seed}/{self.pretrain}/{self.mix:g}/{self.arm}{tail}"

    @property
    def origin(self) -> str | None:
        """The state it begins from; None: untrained weights."""
        if self.phase == "pretrain":
            return None
        if self.phase == "align" or not self.aligned:
            return f"{self.seed}/{self.pretrain}"
        return f"{self.seed}/{self.pretrain}/{self.mix:g}/{self.arm}/{self.aligned}"

    def state(self, size: int) -> str | None:
        """What the weights at a size are called; None where no chain begins from them."""
        if self.phase == "pretrain":
            return f"{self.seed}/{size}"
        return f"{self.seed}/{self.pretrain}/{self.mix:g}/{self.arm}/{size}" if self.phase == "align" else None

    def cells(self, size: int, config: Toy) -> list[Cell]:
        """What is read at a size: one cell, or the base of every mix that begins there."""
        if self.phase == "pretrain":
            return [Cell(self.seed, size, m, "from_base", 0, 0) for n, m in config.worlds if n == size]
        sizes = (size, 0) if self.phase == "align" else (self.aligned, size)
        return [Cell(self.seed, self.pretrain, self.mix, self.arm, *sizes)]


Group = Sequence[Chain]
"""Chains of one phase with equal sizes: they train side by side and are stored together."""


def groups(config: Toy) -> list[Group]:
    """All groups, origins first."""
    found: list[Group] = []
    for phase in (_pretrain(config), _align(config), _reverse(config)):
        found += [tuple(phase[first : first + STACK]) for first in range(0, len(phase), STACK)]
    return found


def _pretrain(config: Toy) -> list[Chain]:
    return [Chain("pretrain", seed, config.pretrain[-1], 0.0, "from_base", 0, config.pretrain) for seed in config.seeds]


def _align(config: Toy) -> list[Chain]:
    return [
        Chain("align", seed, *world, arm, 0, config.align_sizes)
        for world in config.worlds for arm in ARMS for seed in config.seeds
    ]  # fmt: skip


def _reverse(config: Toy) -> list[Chain]:
    aligned: list[tuple[Arm, int]] = [(arm, size) for arm in ARMS for size in config.align_sizes]
    starts: list[tuple[Arm, int]] = [("from_base", 0), *aligned]
    return [
        Chain("reverse", seed, *world, arm, size, config.reverse_sizes)
        for world in config.worlds for arm, size in starts for seed in config.seeds
    ]  # fmt: skip


def cells(config: Toy) -> Iterator[Cell]:
    """Every cell of a run, in the order of its groups."""
    for group in groups(config):
        for chain in group:
            for size in chain.sizes:
                yield from chain.cells(size, config)


def steps(config: Toy, todo: Sequence[Group]) -> int:
    """Optimiser steps that groups take, all members counted."""
    return sum(chain.sizes[-1] // config.batch for group in todo for chain in group)
