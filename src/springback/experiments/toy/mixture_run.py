"""The count mixture in the place of a network: what theorem 4.2 says of every cell, in exact arithmetic.

After N_p, N_a and n strings the model is q = (N_p·P_p + N_a·P_a + n·P_t) / (N_p + N_a + n); a placebo has P_p for P_a.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from springback.elasticity.compression_rate import Part, joint_masses
from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import Cell
from springback.experiments.toy.readings import Log2, reading
from springback.experiments.toy.world import World, world


def predicted(config: Toy, cells: Iterable[Cell]) -> dict[str, dict[str, Any]]:
    """Cell bodies of the count mixture, by key."""
    laws = cache(lambda seed, mix: world(config, seed, mix))
    found = {}
    for cell in cells:
        made = laws(cell.seed, cell.mix)
        base = learned(made, Cell(cell.seed, cell.pretrain, cell.mix, "from_base", 0, 0))
        found[cell.key] = reading(cell, learned(made, cell), base, made, config)
    return found


def learned(world: World, cell: Cell) -> Log2:
    """The mixture at a cell; −∞ for a string of no source."""
    wanted = world.pretraining if cell.arm == "placebo" else world.aligned
    sizes = ((world.pretraining, cell.pretrain), (wanted, cell.aligned), (world.reversed, cell.reversed))
    with np.errstate(divide="ignore"):
        return np.log2(joint_masses([Part(law, float(size)) for law, size in sizes]))
