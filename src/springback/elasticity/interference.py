"""Interference: whether a reversal will hurt the wanted answers, said before it is run.

In the count mixture behind theorem 4.2 of Ji et al. 2024 (arXiv 2406.06144) a reversal raises the wanted set's rate by
(1 − c₂)/K per unit, and the pretraining side turns at l* = (1 − c₂)/(c₃ − 1), where

    c₂ = Σ P_a P_t / P_p = E_{x ~ D_a} [p_θt(x) / p_θ0(x)]        c₃ = Σ P_t² / P_p = E_{x ~ D_t} [p_θt(x) / p_θ0(x)]

θ0 is the start, θt the start tuned on the reversal data alone. c₂ < 1: the reversal hurts γ_a. c₂ > 1: it helps.

1. The definition is the mean of ratios of whole answers. Such ratios spread over many orders of magnitude, so they are
   truncated at √n times their mean (Ionides 2008, *Truncated Importance Sampling*), and the number of answers that
   carry the mean, (Σw)²/Σw², is said. Below max(10, n/10) of them c is not reportable.
2. `per_token` is the geometric mean of the ratio of one token, exp(Σ log ratio / Σ tokens). It is no estimate of c: by
   Jensen's inequality c ≥ exp(mean log ratio), so a value above 1 says c₂ > 1 and one below 1 says nothing of c₂.

Not guaranteed: that gradient training is the count mixture. Compare the sign with what happened.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from springback.papers import ELASTICITY
from springback.stats.measured import Measured, finite, mean, ratio_of_sums, unmeasured

PAPER = ELASTICITY
FEWEST, SHARE = 10.0, 0.1
"""Smallest effective sample size: this many answers, and this share of all."""
LARGEST = 700.0
"""Largest log ratio whose exponential is a number."""
Prediction = Literal["hurts", "helps", "undecided", "not_reportable"]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coefficient:
    """c₂ or c₃, with what is needed to trust it."""

    c: Measured
    """Mean truncated ratio of whole answers (the definition); no unit."""
    per_token: Measured
    """Geometric mean of one token's ratio; describes, defines nothing."""
    effective: float
    """(Σw)²/Σw² of the ratios before truncation, in answers: 1 … n."""
    needed: float
    """The effective size below which `c` is not reported."""
    truncated: int
    """Answers whose ratio was cut."""
    n: int

    def json(self) -> dict[str, Any]:
        """As a result carries it."""
        counts = {"effective": self.effective, "needed": self.needed, "truncated": self.truncated, "n": self.n}
        return {"c": self.c.json(), "per_token": self.per_token.json(), **counts}


def coefficient(tuned: Array, start: Array, tokens: Array) -> Coefficient:
    """From log-probabilities (nats) of the same held-out answers under θt and θ0, and their lengths in tokens.

    Answers of D_a give c₂, answers of D_t give c₃. ValueError where a number is not finite or the lengths differ.
    """
    ratios = finite(tuned) - finite(start)
    lengths = finite(tokens)
    if ratios.size != lengths.size or ratios.size < 2 or (lengths <= 0).any():
        raise ValueError(f"One positive length for each of at least 2 answers: {ratios.size}, {lengths.size}.")
    shifted = np.exp(ratios - ratios.max())
    effective = float(shifted.sum() ** 2 / (shifted**2).sum())
    cap = math.log(shifted.mean()) + float(ratios.max()) + 0.5 * math.log(ratios.size)
    needed = max(FEWEST, SHARE * ratios.size)
    return Coefficient(
        _sequences(np.minimum(ratios, cap), effective, needed), _tokens(ratios, lengths), effective, needed,
        int((ratios > cap).sum()), ratios.size,
    )  # fmt: skip


def predicted(c2: Coefficient) -> Prediction:
    """What c₂ says of γ_a: `undecided` where its interval holds 1.

    Where c₂ itself is not reportable, Jensen's bound may still say that it lies above 1.
    """
    if c2.c.estimate is None:
        return "helps" if c2.per_token.low is not None and c2.per_token.low > 1 else "not_reportable"
    if not c2.c.excludes(1.0):
        return "undecided"
    return "hurts" if c2.c.estimate < 1 else "helps"


def _sequences(ratios: Array, effective: float, needed: float) -> Measured:
    if effective < needed:
        return unmeasured(f"{effective:.1f} effective answers of {ratios.size}; at least {needed:g} are needed")
    if ratios.max() > LARGEST:
        return unmeasured(f"the largest log ratio is {ratios.max():.0f} nats: its exponential is no number")
    return mean(np.exp(ratios), over="documents", unit="")


def _tokens(ratios: Array, lengths: Array) -> Measured:
    found = ratio_of_sums(ratios, lengths, over="documents", unit="")
    ends = [found.estimate, found.low, found.high]
    low = [None if end is None else math.exp(end) for end in ends]
    return Measured(low[0], low[1], low[2], found.level, found.n, found.over, found.unit, found.why)
