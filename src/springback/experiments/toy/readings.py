"""What is read at a point, exactly: sums over all strings, so a seed's figures have no sampling error.

γ_i = −(1/d)·Σ P_i·log₂ q in bits of code per symbol (`rate`), γ_i − log₂(2^d)/d = γ_i − 1 (`normalised`), γ_i less the
entropy of P_i (`excess`, at least 0); larger = worse.
KL in bits per whole string: `kl_from_start` KL(base‖θ), `kl_to_start` KL(θ‖base). No torch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.elasticity.compression_rate import normaliser
from springback.elasticity.masses import Masses
from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import Cell
from springback.experiments.toy.world import World

Log2 = NDArray[np.float64]
"""log₂ probability of each string, by number."""


def entropy(masses: Masses) -> float:
    """Bits per string: what no model gets below."""
    held = masses[masses > 0]
    return 0.0 - float(held @ np.log2(held))


def kl(p: Log2, q: Log2) -> float:
    """D_KL(p‖q) in bits per string, over the strings that p has. Rounding below 0 is 0."""
    held = np.isfinite(p)
    return max(0.0, float(np.exp2(p[held]) @ (p[held] - q[held])))


def source(world: World, config: Toy) -> dict[str, Any]:
    """The entropy floors of a world, bits per symbol: γ_i is never below its floor."""
    laws = {"pretraining": world.pretraining, "aligned": world.aligned, "reversed": world.reversed}
    return {"floor": {name: entropy(law) / config.length for name, law in laws.items()}, "unit": "bit/symbol"}


def reading(cell: Cell, model: Log2, base: Log2, world: World, config: Toy) -> dict[str, Any]:
    """The body of a `cell` record."""
    return {
        "seed": cell.seed, "arm": cell.arm, "phase": cell.phase, "mix": cell.mix,
        "pretrain": sized(cell.pretrain, config), "align": sized(cell.aligned, config),
        "reverse": sized(cell.reversed, config), "gamma": _gamma(model, world, config),
        "kl_from_start": kl(base, model), "kl_to_start": kl(model, base), "mass": _mass(model, world),
    }  # fmt: skip


def sized(strings: int, config: Toy) -> dict[str, int]:
    """A size in strings, symbols and optimiser steps."""
    return {"examples": strings, "tokens": strings * config.length, "steps": strings // config.batch}


def _gamma(model: Log2, world: World, config: Toy) -> Mapping[str, Mapping[str, float]]:
    laws = {"pretraining": world.pretraining, "aligned": world.aligned, "reversed": world.reversed}
    rates = {name: 0.0 - float(law[law > 0] @ model[law > 0]) / config.length for name, law in laws.items()}
    unit = normaliser(2**config.length, depth=config.length)
    floors = source(world, config)["floor"]
    return {
        name: {"rate": rate, "normalised": rate - unit, "excess": rate - floors[name]} for name, rate in rates.items()
    }


def _mass(model: Log2, world: World) -> dict[str, float]:
    """Probability that the model gives to each source's strings; shared ones count in proportion to the sources."""
    share = np.stack(world.parts)
    total = share.sum(axis=0)
    share = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return {f"p{number}": float(part @ np.exp2(model)) for number, part in enumerate(share, start=1)}
