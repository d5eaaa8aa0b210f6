"""Theorem 4.2: how the compression rates of D_p, D_a and D_t move when D_t grows, for a model that is a count mixture.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144). With |D_a| = 1, |D_p| = k, |D_t| = l,
K = k + 1 + l and the parts of `masses`:

    q = [k·P_p + P_a + l·P_t] / K                                   what the model has learned
    γ_i = −(1/d)·Σ_x P_i(x)·log₂ q(x)                               bits of code per source symbol, larger = worse
    dγ_i/dl = (1 − Σ_x P_i(x)·P_t(x)/q(x)) / (K·d·ln 2)             exact, for every i
    c₂ = Σ P_a·P_t/P_p      c₃ = Σ P_t²/P_p                         interference of D_a and of D_t with pretraining
    dγ_a/dl → (1 − c₂)/(K·d·ln 2),   dγ_p/dl → −[(1 − c₂) − l·(c₃ − 1)]/(K²·d·ln 2)           for k → ∞
    l* = (1 − c₂)/(c₃ − 1)                                          beyond it the pretraining side gets worse too

The paper's two versions print opposite signs: the current one dγ_a/dl = Θ(−k·dγ_p/dl), dγ_p/dl < 0 < dγ_a/dl; the first
one Θ(+k …) with both positive, for a γ that is the reciprocal. Here γ is code over source, and the current sign holds.

It does not guarantee anything about a network: sequential gradient training is no count mixture.

1. Pareto masses are not needed; what is needed is c₂ < 1 and l < l*.
2. Differences of γ are taken through log1p of the relative change of q, never as γ(l + h) − γ(l): at k = 10⁵ that plain
   difference is rounding noise. The relative error of `derivative` and `finite_difference` is about K·10⁻¹⁶.
3. A derivative whose 1 − Σ is below 10⁻¹³ is 0: that much is rounding. So is a difference that small beside its terms.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float64

from springback.elasticity.masses import Masses, Sources
from springback.papers import ELASTICITY

PAPER = ELASTICITY
ROUNDING: Final = 1e-13
"""What 1 − Σ P_i·P_t/q may be and still be 0; a share of what is subtracted."""
HALVINGS: Final = 200
"""Steps of the search for the exact l*; it ends before, when the interval is two neighbouring numbers."""


class Rates(NamedTuple):
    """One number for each of D_p, D_a and D_t."""

    p: float
    a: float
    t: float


class Interference(NamedTuple):
    """How D_t stands to D_a and to pretraining; pure numbers."""

    c2: float
    """Σ P_a·P_t/P_p ≥ 0; 0 = disjoint, above 1 = D_t resembles D_a more than pretraining does."""
    c3: float
    """Σ P_t²/P_p ≥ 1; 1 = D_t is pretraining, 3 = a third of its own."""
    l_star: float | None
    """(1 − c₂)/(c₃ − 1), the leading order in 1/k; not positive where signs are flipped from l = 0 on; None where
    D_t is pretraining itself."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """The model trained on D_p, D_a and D_t together. Sizes are in units of |D_a|."""

    sources: Sources
    k: float
    """|D_p| / |D_a| > 0."""
    l: float  # noqa: E741  the paper's own letter
    """|D_t| / |D_a| ≥ 0."""

    def __post_init__(self) -> None:
        if not (0 < self.k < math.inf and 0 <= self.l < math.inf):
            raise ValueError(f"k must be greater than 0 and l at least 0, both finite: got k={self.k}, l={self.l}.")

    @property
    def total(self) -> float:
        """K."""
        return self.k + 1 + self.l

    @property
    def masses(self) -> Masses:
        """Q."""
        return self.counts(self.l) / self.total

    def counts(self, l: float) -> Masses:  # noqa: E741
        """K·q at an l."""
        s = self.sources
        return self.k * s.pretraining + s.alignment + l * s.reversal

    def rates(self) -> Rates:
        """γ of each data set in bits of code per source symbol; lower = closer to the model."""
        return Rates(*(-(self.sources.data_sets @ _log2(self.masses)) / self.sources.depth).tolist())

    def derivatives(self) -> Rates:
        """dγ/dl in closed form: bits per symbol, per unit of l."""
        rest = 1.0 - self.sources.data_sets @ _ratio(self.sources.reversal, self.masses)
        return self._per_symbol(rest / self.total, 1.0 / self.total)

    def finite_differences(self, step: float = 1e-4) -> Rates:
        """Central differences of γ over l ± h, h = step · min(1, k/3 + l); their error is of the order of h².

        At l = 0 this reaches below 0, where q is still a distribution (D_t is part of pretraining).
        """
        h = step * min(1.0, self.k / 3 + self.l)
        return Rates(*(moved / (2 * h) for moved in self.changes(self.l - h, self.l + h)))

    def changes(self, before: float, after: float) -> Rates:
        """γ(l = after) − γ(l = before) of each data set, without subtracting two rates: bits per symbol."""
        grown = np.log1p((after - before) * _ratio(self.sources.reversal, self.counts(before)))
        total = math.log1p((after - before) / (self.k + 1 + before))
        return self._per_symbol(total - self.sources.data_sets @ grown, total)

    def _per_symbol(self, nats: Float64[np.ndarray, " source"], term: float) -> Rates:
        """From nats a path; 0 where what is left of `term` is rounding."""
        kept = np.where(np.abs(nats) < ROUNDING * abs(term), 0.0, nats)
        return Rates(*(kept / (self.sources.depth * math.log(2))).tolist())


def interference(sources: Sources) -> Interference:
    """c₂, c₃ and the leading-order l*. They depend on the sources alone, not on k or l."""
    toward = _ratio(sources.reversal, sources.pretraining)
    c2, c3 = float(sources.alignment @ toward), float(sources.reversal @ toward)
    return Interference(c2, c3, None if c3 - 1 < ROUNDING else (1 - c2) / (c3 - 1))


def exact_l_star(sources: Sources, k: float) -> float | None:
    """The l > 0 at which dγ_p/dl changes from negative to positive at this k; None where it does not.

    γ_p is convex along the line from q(l = 0) to P_t, so there is one such point at most. 1/2 for disjoint thirds.
    """
    start = Mixture(sources, k, 0.0).masses
    away = sources.reversal - start

    def slope(w: float) -> float:  # of γ_p in w = l/K
        return -float(sources.pretraining @ _ratio(away, start + w * away))

    low, high = 0.0, 1.0 - 1e-12
    if slope(low) >= -ROUNDING or slope(high) <= ROUNDING:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low * (k + 1) / (1 - low)


def _ratio(top: Masses, bottom: Masses) -> Masses:
    """Top / bottom; 0 where nobody has mass."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _log2(masses: Masses) -> Masses:
    return np.log2(masses, out=np.zeros_like(masses), where=masses > 0)
