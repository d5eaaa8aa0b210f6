"""Hooke's law of elasticity: size of a data set times how far the model has moved from it.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144), section 4: F ∝ |D_i|·ΔD_KL, the size is the
spring constant and data sets are springs in series. Here the springs are D_p (constant k) and D_a (constant 1), and
growing D_t from l to l′ is what pulls:

    F_i = |D_i|·ΔKL(P_i‖q)       ΔKL(P_i‖q) = d·Δγ_i, bits of a whole path of d symbols
    −F_a/F_p → 1                 one spring relaxes (F_p < 0) while the other is stretched by an equal force

1. The printed KL is D_KL(q‖P_i). It is infinite wherever another data set has what D_i lacks, thus under disjoint
   supports always. `printed_kl` gives it, ∞ included; smoothing P_i with a share ε of the uniform law makes it finite,
   and its value then is that of ε.
2. Equal forces hold to the leading order in 1/k and l, and where c₃ is 3; see `Interference`.
"""

import math
from typing import NamedTuple

import numpy as np

from springback.elasticity.masses import Masses
from springback.elasticity.mixture import Mixture
from springback.papers import ELASTICITY

PAPER = ELASTICITY


class Pull(NamedTuple):
    """What growing D_t does to the two springs."""

    force_p: float
    """k·ΔKL(P_p‖q) in bits; negative = D_p's spring relaxes."""
    force_a: float
    """ΔKL(P_a‖q) in bits; positive = D_a's spring is stretched."""

    @property
    def ratio(self) -> float | None:
        """−F_a/F_p; 1 = springs in series; None where D_p does not move."""
        return None if self.force_p == 0 else -self.force_a / self.force_p


def pull(mixture: Mixture, *, to: float) -> Pull:
    """The forces when D_t grows from `mixture.l` to `to`."""
    moved = mixture.changes(mixture.l, to)
    return Pull(mixture.k * mixture.sources.depth * moved.p, mixture.sources.depth * moved.a)


def kl(p: Masses, q: Masses) -> float:
    """D_KL(p‖q) in bits of a whole path; 0 = equal, ∞ where q lacks what p has."""
    held = p > 0
    with np.errstate(divide="ignore"):
        return max(0.0, float(p[held] @ (np.log2(p[held]) - np.log2(q[held]))))


def printed_kl(mixture: Mixture, masses: Masses, *, smoothing: float = 0.0) -> float:
    """D_KL(q‖P_i) in bits as printed, of P_i ← (1 − ε)·P_i + ε·uniform with ε = `smoothing`, 0 to 1."""
    if not 0 <= smoothing <= 1:
        raise ValueError(f"Smoothing is a share from 0 to 1, got {smoothing:g}.")
    return kl(mixture.masses, (1 - smoothing) * masses + smoothing / masses.size)


def series_stiffness(*stiffness: float) -> float:
    """Spring constant of springs in series: 1/Σ 1/k_i, less than the softest one's."""
    return 1.0 / math.fsum(1.0 / k for k in stiffness)


def extensions(stretch: float, *stiffness: float) -> tuple[float, ...]:
    """How far each of the springs in series gives when the row is stretched: inversely to its constant."""
    force = series_stiffness(*stiffness) * stretch
    return tuple(force / k for k in stiffness)
