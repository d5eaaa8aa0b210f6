"""Pairwise normalised gradient descent (Yuan et al., 2024, section 5.1, outlined there): both gradients count alike.

    d_w' : d_l' = ‖g_l‖ : ‖g_w‖

    product   d_w' = s·α, d_l' = s/α            s = ±√(d_w d_l),  α = √(‖g_l‖/‖g_w‖): steps keep the loss's scale
    unit      d_w' = s/‖g_w‖, d_l' = s/‖g_l‖    every pair moves along s·(ĝ_w − ĝ_l), whatever its gradients' size

By Cauchy–Schwarz a step on one pair then raises the chosen and lowers the rejected answer by ηs‖g‖(1 − ρ) each (times
√(‖g_w‖‖g_l‖) for the product form divided by ‖g‖), unless the gradients are parallel.

What it does not guarantee: anything for pairs in one batch (their gradients meet), beyond first order, or for a norm
other than that in which the step descends: with Euclidean norms under Adam the rejected answer may rise again.
α is clamped to [1/clamp, clamp] and the unit form's norms likewise; identical answers get no push, and pairs whose two
weights do not have one sign (d_w d_l ≤ 0) keep theirs, since no ratio of them lies in the band.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from springback import papers
from springback.train.entanglement.gram import Grams, PerPair
from springback.train.entanglement.weights import Weights

IDENTICAL = 1e-6
"""‖g_w − g_l‖² below this share of ‖g_w‖² + ‖g_l‖² is rounding."""


@dataclass(frozen=True, slots=True)
class PairwiseNormalised:
    """A cure (`entanglement.cure`); the inner products say in which metric it normalises."""

    paper: ClassVar = papers.ENTANGLEMENT

    form: Literal["product", "unit"] = "product"
    """`product` keeps the loss's scale, `unit` makes every pair's push equally long."""
    clamp: float = 10.0
    """Largest α, and its inverse the smallest: a saturated answer's gradient vanishes and α would not end."""

    def __post_init__(self) -> None:
        if self.clamp < 1:
            raise ValueError(f"clamp must be at least 1, got {self.clamp}")

    def __call__(self, grams: Grams, weights: Weights) -> Weights:
        """New weights of every pair, finite whatever the gradients."""
        up, down = weights.chosen.double(), weights.rejected.double()
        push = torch.sign(up) * (up * down).clamp_min(0).sqrt()
        alpha = _alpha(grams).clamp(1 / self.clamp, self.clamp)
        if self.form == "unit":
            push = push / self._length(grams)
        new = push * alpha, push / alpha
        kept = [torch.where(_opposed(weights), value, old) for value, old in zip(new, (up, down), strict=True)]
        still = _identical(grams) | _silent(grams)
        return Weights(*(torch.where(still, 0.0, one).to(weights.chosen.dtype) for one in kept))

    def counts(self, grams: Grams, weights: Weights) -> dict[str, int]:
        """How many pairs were clamped, identical, silent (no gradient at all) or left as they were."""
        live = ~(_identical(grams) | _silent(grams))
        alpha = _alpha(grams)
        clamped = live & _opposed(weights) & ((alpha > self.clamp) | (alpha < 1 / self.clamp))
        return {
            "clamped": int(clamped.sum()),
            "identical": int((_identical(grams) & ~_silent(grams)).sum()),
            "silent": int(_silent(grams).sum()),
            "left": int((live & ~_opposed(weights)).sum()),
        }

    def _length(self, grams: Grams) -> PerPair:
        """√(‖g_w‖‖g_l‖), or what it is where α meets its clamp; 1 where there is no gradient."""
        longer = torch.maximum(grams.ww, grams.ll).clamp_min(0).sqrt()
        mean = (grams.ww.clamp_min(0) * grams.ll.clamp_min(0)) ** 0.25
        return torch.where(longer > 0, torch.maximum(mean, longer / self.clamp), 1.0)


def _alpha(grams: Grams) -> PerPair:
    """√(‖g_l‖/‖g_w‖): 0 or ∞ where one gradient vanishes, 1 where both do."""
    return torch.where(_silent(grams), 1.0, (grams.ll.clamp_min(0) / grams.ww.clamp_min(0)) ** 0.25)


def _opposed(weights: Weights) -> Bool[Tensor, " pair"]:
    """The chosen answer is pushed up and the rejected one down, or both the other way round."""
    return weights.chosen.double() * weights.rejected.double() > 0


def _silent(grams: Grams) -> Bool[Tensor, " pair"]:
    return (grams.ww <= 0) & (grams.ll <= 0)


def _identical(grams: Grams) -> Bool[Tensor, " pair"]:
    """Also false where the inner product was not measured (NaN)."""
    return grams.ww + grams.ll - 2 * grams.wl <= IDENTICAL * (grams.ww + grams.ll)
