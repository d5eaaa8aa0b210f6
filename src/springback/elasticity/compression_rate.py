"""Joint and normalised compression rate (definition 3.5), from leaf masses.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144). A model trained on D = ∪ D_i has, at best, the
mixture of counts; the rate of one data set is its cross-entropy under that mixture for each source symbol:

    q = Σ_i |D_i|·P_i / Σ_i |D_i|              γ_i = −(1/d)·Σ_x P_i(x)·log₂ q(x)
    γ_i − log₂(M)/d = [KL(P_i‖q) − KL(P_i‖uniform on M leaves)]/d         ≤ 0 wherever q is better than uniform

γ is code over source: bits of code per source symbol, 0 or more, larger = worse. (The first version of the paper calls
γ a reciprocal, in which larger is better.)

1. The printed normaliser is log M, bits of a block, taken from γ, bits of a symbol. Here it is log₂(M)/d.
2. The printed expectation is taken twice over one variable; once is meant.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from springback.elasticity.masses import Masses
from springback.papers import ELASTICITY

PAPER = ELASTICITY


@dataclass(frozen=True, slots=True)
class Part:
    """A data set: its leaf masses and its size |D_i| > 0, in any one unit."""

    masses: Masses
    size: float


def joint_masses(parts: Sequence[Part]) -> Masses:
    """q, the mixture of the parts by size. ValueError where none has a size or one has a negative size."""
    sizes = [part.size for part in parts]
    if not sum(sizes) > 0 or min(sizes) < 0:
        raise ValueError(f"Sizes of data sets are at least 0 and not all 0, got {sizes}.")
    return np.asarray(sum(part.size * part.masses for part in parts) / sum(sizes), dtype=np.float64)


def rate(own: Masses, model: Masses, *, depth: int) -> float:
    """γ in bits per source symbol, ≥ 0; larger = worse; infinite where the model gives 0 to a leaf that occurs."""
    held = own > 0
    with np.errstate(divide="ignore"):
        return float(-(own[held] @ np.log2(model[held]))) / depth


def normaliser(leaves: int, *, depth: int) -> float:
    """log₂(M)/d: the rate of a model that knows nothing of M leaves, in bits per source symbol."""
    return math.log2(leaves) / depth


def normalised_rate(own: Masses, model: Masses, *, depth: int, leaves: int | None = None) -> float:
    """γ − log₂(M)/d in bits per source symbol; negative = better than knowing nothing; lower = better.

    M is the number of masses unless given. It cancels in every difference at one M.
    """
    return rate(own, model, depth=depth) - normaliser(len(own) if leaves is None else leaves, depth=depth)
