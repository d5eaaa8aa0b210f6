"""Leaf masses of the three pretraining parts of Theorem 4.2, on the complete binary tree of a depth.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144), section 4 and appendix A.7: D_p is the union of
three parts of equal size with distributions P₁, P₂, P₃; D_a is drawn from P₂, D_t from P₃. The 2^d leaves are the
binary strings of length d in the order of their numbers; all are cut leaves, for the strings go on for ever.

How masses are made, so that anybody can make them again:

1. `uniform`: every leaf of a part's support has the same weight.
2. `pareto`: weights w = (1 − u)^(−1/α), u uniform on [0, 1): the Pareto law with scale 1 and shape α. u for part i (1,
   2, 3) is `numpy.random.default_rng([seed, i]).random(2**depth)`, one number a leaf, and weights are kept where the
   part has its support.
3. Supports are `disjoint` (leaf numbers cut into three runs, lengths equal or one apart, the longer ones first) or
   `full` (every part has all leaves; the masses are then independent).
4. Weights are divided by their sum. A similarity s then makes P₃ ← s·P₂ + (1 − s)·P₃, in D_t and in pretraining alike.

It does not claim that texts have such masses. Under disjoint supports no derivative depends on them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from springback.elasticity.overlap import Overlap
from springback.papers import ELASTICITY

PAPER = ELASTICITY

Masses = NDArray[np.float64]
"""One number a leaf, at least 0, summing to 1."""
Kind = Literal["uniform", "pareto"]


@dataclass(frozen=True)
class Sources:
    """P₁, P₂ and P₃."""

    rest: Masses
    """P₁: what pretraining has and neither D_a nor D_t."""
    alignment: Masses
    """P₂ = P_a."""
    reversal: Masses
    """P₃ = P_t."""
    depth: int

    @cached_property
    def pretraining(self) -> Masses:
        """P_p, the mean of the three."""
        return (self.rest + self.alignment + self.reversal) / 3

    @cached_property
    def data_sets(self) -> Float64[np.ndarray, "source leaf"]:
        """P_p, P_a and P_t, one row each."""
        return np.stack([self.pretraining, self.alignment, self.reversal])


def sources(depth: int, *, masses: Kind, overlap: Overlap, alpha: float = 1.2, seed: int = 0) -> Sources:
    """The three parts at a depth. ValueError where 2^depth leaves cannot be cut into three, or α is not positive."""
    if depth < 1 or (overlap.support == "disjoint" and depth < 2):
        raise ValueError(f"Disjoint thirds need at least 4 leaves (depth 2), full supports 2 (depth 1): got {depth}.")
    if not alpha > 0:
        raise ValueError(f"The shape α of a Pareto law is greater than 0, got {alpha:g}.")
    rest, aligned, other = (
        _normalised(_log_weights(depth, part, masses, alpha, seed), _support(depth, part, overlap))
        for part in (1, 2, 3)
    )
    share = overlap.similarity
    return Sources(rest, aligned, share * aligned + (1 - share) * other, depth)


def _log_weights(depth: int, part: int, masses: Kind, alpha: float, seed: int) -> Masses:
    if masses == "uniform":
        return np.zeros(2**depth)
    return -np.log1p(-np.random.default_rng([seed, part]).random(2**depth)) / alpha


def _support(depth: int, part: int, overlap: Overlap) -> NDArray[np.bool_]:
    if overlap.support == "full":
        return np.ones(2**depth, dtype=bool)
    held = np.zeros(2**depth, dtype=bool)
    held[np.array_split(np.arange(2**depth), 3)[part - 1]] = True
    return held


def _normalised(log_weights: Masses, support: NDArray[np.bool_]) -> Masses:
    """Through the largest weight, so that a heavy tail (α near 0) does not overflow."""
    weights = np.where(support, np.exp(log_weights - log_weights[support].max()), 0.0)
    return weights / weights.sum()
