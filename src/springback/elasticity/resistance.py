"""Resistance: how hard it is to tune one model onto what another one writes.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144, section 5.1): θ1 … θn are one model after 1 … n
slices of a data set, D_k what θ_k writes. Inverse (θ_l onto D_k, l > k) is claimed to be easier than forward (θ_k onto
D_l).

    excess(θ → k) = E_{x ~ θ_k} [log₂ p_k(x) − log₂ p_θ(x)]          bits, per token of the target's held-out answers

1. The paper compares means of all training losses. The two directions fit different texts, whose entropies differ, so a
   lower loss need not be a nearer model. Here the target's own entropy is taken off and the answers are held out: the
   excess is an estimate of KL(θ_k‖θ), 0 where the target is reached. At temperature 1 only; other samples are no θ_k's.
2. The two directions also begin at different excesses. `left` is the excess's mean over the steps as a share of its
   first value: 1 where nothing is learnt, smaller where tuning is quick. `area` is the same mean in bit/token.
3. The expectation over each next token can be taken exactly, Σ_t KL(p_k(· | x_<t)‖p_θ(· | x_<t)): the same quantity in
   expectation, with less noise (a third of the width and less). A `Curve` takes either.
4. `paper_statistic` is the paper's, for comparison only.

Intervals are over documents, drawn whole: the same prompt answered by all targets is one document.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from springback.elasticity.half_life import until
from springback.papers import ELASTICITY
from springback.stats.bootstrap import counts, expanded_tail
from springback.stats.measured import Measured, mean, ratio_of_sums, unmeasured

PAPER = ELASTICITY
UNIT = "bit/token"
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Held-out excess along one training: `excess[step, document]` in bits, sampled or exact; `tokens[document]`."""

    steps: tuple[int, ...]
    """Optimiser steps done at each reading; 0 first."""
    excess: Array
    """Bits by which a document costs more under θ than under the target; sampled ones may be below 0."""
    tokens: Array

    def __post_init__(self) -> None:
        if self.excess.shape != (len(self.steps), self.tokens.size) or self.tokens.size < 2 or len(self.steps) < 2:
            raise ValueError(f"[step, document]: {self.excess.shape} for {len(self.steps)}, {self.tokens.size}.")
        if self.steps[0] != 0 or (np.diff(self.steps) <= 0).any():
            raise ValueError(f"Steps begin at 0 and increase, got {self.steps}.")
        if not np.isfinite(self.excess).all() or not (self.tokens > 0).all():
            raise ValueError("Excess losses are finite and documents have tokens.")

    @property
    def areas(self) -> Array:
        """[document]: mean over the steps (trapezoids) of the excess, in bits."""
        widths = np.diff(self.steps)
        return (widths[:, None] * (self.excess[1:] + self.excess[:-1]) / 2).sum(0) / widths.sum()


def own_entropy(own_bits: Array, tokens: Array) -> Measured:
    """The target's entropy on its own held-out answers, bit/token: the floor that is taken off."""
    return ratio_of_sums(own_bits, tokens, over="documents", unit=UNIT)


def excess(curve: Curve, reading: int) -> Measured:
    """Excess loss at one reading, bit/token; below 0 by chance only."""
    return ratio_of_sums(curve.excess[reading], curve.tokens, over="documents", unit=UNIT)


def area(curve: Curve) -> Measured:
    """Mean excess over the steps, bit/token: the area under the curve / steps."""
    return ratio_of_sums(curve.areas, curve.tokens, over="documents", unit=UNIT)


def left(curve: Curve) -> Measured:
    """Mean excess over the steps as a share of the first; unmeasured where the first is not clear of 0."""
    return contrast([(1.0, [curve])])


def steps_to(curve: Curve, *, share: float = 0.5) -> Measured:
    """Optimiser steps until the excess is at most `share` of the first one, interpolated; or "not reached"."""
    return until(curve.steps, curve.excess, share=share, over="documents", unit="steps")


def far_enough(curve: Curve) -> bool:
    """Whether the start is measurably away from the target: the first excess's interval lies above 0."""
    first = mean(curve.excess[0], over="documents", unit="bit")
    return first.low is not None and first.low > 0


def nearer(curve: Curve) -> bool:
    """Whether tuning brings the model nearer to its target at all: `left`'s interval lies below 1."""
    share = left(curve)
    return share.high is not None and share.high < 1


def contrast(terms: Sequence[tuple[float, Sequence[Curve]]], *, level: float = 0.95) -> Measured:
    """Σ factor · mean over its curves of `left`: (1, forwards), (−1, inverses) asks whether inverses are quicker.

    All curves have the same documents, which are drawn together. Unmeasured where a first excess is not clear of 0.
    """
    curves = [curve for _, group in terms for curve in group]
    sizes = {curve.tokens.size for curve in curves}
    if len(sizes) != 1:
        raise ValueError(f"One set of documents for all curves, got {sorted(sizes)}.")
    if not all(far_enough(curve) for curve in curves):
        return unmeasured("a start that is not measurably away from its target")
    (n,) = sizes
    estimate = float(_combined(terms, np.ones((1, n)))[0])
    low, high = _ends(_combined(terms, counts(n)), expanded_tail(n, level))
    if not np.isfinite([low, high]).all():
        return unmeasured("a start that is too near its target for an interval")
    return Measured(estimate, min(low, estimate), max(high, estimate), level, n, "documents", "share")


def two_sided_p(terms: Sequence[tuple[float, Sequence[Curve]]]) -> float:
    """Share of resamples on the rarer side of a contrast's 0, doubled, in (0, 1]; draws without meaning count there."""
    (n,) = {curve.tokens.size for _, group in terms for curve in group}
    drawn = _combined(terms, counts(n))
    rarer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum())) + int(np.isnan(drawn).sum())
    return min(1.0, 2 * (1 + rarer) / (1 + drawn.size))


def paper_statistic(training_losses: Sequence[float]) -> Measured:
    """Mean of all training losses, nat/token: the paper's table 1. Neither held out nor freed of the entropy."""
    if not training_losses:
        return unmeasured("no step was taken")
    return Measured(float(np.mean(training_losses)), n=len(training_losses), over="steps", unit="nat/token",
                    why="training losses of one run: no interval")  # fmt: skip


def _combined(terms: Sequence[tuple[float, Sequence[Curve]]], drawn: NDArray[np.integer] | Array) -> Array:
    return sum(
        (factor * np.mean([_left(curve, drawn) for curve in group], axis=0) for factor, group in terms),
        np.zeros(len(drawn)),
    )


def _left(curve: Curve, drawn: NDArray[np.integer] | Array) -> Array:
    first = np.einsum("rn,n->r", drawn, curve.excess[0])
    return np.einsum("rn,n->r", drawn, curve.areas) / np.where(first > 0, first, np.nan)


def _ends(drawn: Array, tail: float) -> tuple[float, float]:
    """Quantiles of the draws; one in which a share has no meaning lies beyond either end."""
    low = np.quantile(np.nan_to_num(drawn, nan=-np.inf), tail, method="lower")
    return float(low), float(np.quantile(np.nan_to_num(drawn, nan=np.inf), 1 - tail, method="higher"))
