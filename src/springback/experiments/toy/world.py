"""What the strings are drawn from: three sources, the two label mixes, and streams that do not depend on their length.

The sources are those of theorem 4.2 (`elasticity/masses.py`): P_p = (P₁ + P₂ + P₃)/3, D_a ~ P₂, D_t ~ P₃. With a share
m of the other label, D_a ~ (1 − m)·P₂ + m·P₃ and D_t ~ (1 − m′)·P₃ + m′·P₂.

`order="scattered"` renumbers the strings by a permutation of the seed's own, the same for all three sources: no mass
and no overlap changes, but a source is no longer a run of neighbours that share a beginning.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from springback.elasticity.masses import Masses, sources
from springback.elasticity.overlap import Overlap
from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import Chain

STREAMS: Final = {"pretrain": 1, "align": 2, "reverse": 3}
"""A phase's stream of a seed; all arms and sizes of a phase draw from one, so they differ by their law only."""
ORDER: Final = 4


@dataclass(frozen=True, slots=True)
class World:
    """The laws of one seed and mix, over all strings by number."""

    parts: tuple[Masses, Masses, Masses]
    """P₁, P₂, P₃."""
    aligned: Masses
    """P_a."""
    reversed: Masses
    """P_t."""

    @property
    def pretraining(self) -> Masses:
        """P_p."""
        return (self.parts[0] + self.parts[1] + self.parts[2]) / 3

    def law(self, chain: Chain) -> Masses:
        """What a chain trains on."""
        if chain.phase == "reverse":
            return self.reversed
        return self.aligned if chain.phase == "align" and chain.arm == "main" else self.pretraining


def world(config: Toy, seed: int, mix: float) -> World:
    """The laws of a seed at a share of the other label."""
    made = sources(
        config.length, masses=config.masses, overlap=Overlap.named(config.overlap), alpha=config.alpha, seed=seed
    )
    place = _order(config, seed)
    first, second, third = (part[place] for part in (made.rest, made.alignment, made.reversal))
    other, ours = config.shares(mix)
    return World((first, second, third), (1 - other) * second + other * third, (1 - ours) * third + ours * second)


def _order(config: Toy, seed: int) -> NDArray[np.int64]:
    strings = 2**config.length
    if config.order == "runs":
        return np.arange(strings)
    return np.random.default_rng([seed, ORDER]).permutation(strings)


def drawn(config: Toy, chain: Chain) -> NDArray[np.int64]:
    """All strings of a chain, by number, in the order of training; a shorter chain has the first ones."""
    law = world(config, chain.seed, chain.mix).law(chain)
    ends = np.cumsum(law)
    uniform = np.random.default_rng([chain.seed, STREAMS[chain.phase]]).random(chain.sizes[-1])
    return np.searchsorted(ends / ends[-1], uniform, side="right")
