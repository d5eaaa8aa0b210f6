"""Efficient Exact Optimization on pairs (EXO-pref, Ji et al., 2024), Eq. 18.

    ℓ = KL(softmax(βa, βb) ‖ (1 − ε, ε)) = p·[log p − log(1 − ε)] + (1 − p)·[log(1 − p) − log ε],   p = σ(βΔ)

The KL the other way round than DPO's: it seeks the mode. Its root is βΔ = logit(1 − ε) (6.9 at ε 0.001); a pair
beyond is pulled back, and far beyond, as far before, the gradient vanishes. ε = 0 has no finite loss and is refused.
TRL's `exo_pair` computes log ε in float32.
"""

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, require
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class EXO:
    """Inverse KL to smoothed labels."""

    paper: ClassVar = papers.EXO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "pushes the right way everywhere", "repetition does not matter"}
    )
    formula: ClassVar = "KL((p, 1−p) ‖ (1−ε, ε)), p = σ(βΔ)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    label_smoothing: float = 1e-3
    """Share ε of pairs believed to be labelled the wrong way round, in (0, ½)."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        require(0 < self.label_smoothing < 0.5, "label_smoothing", "in (0, 0.5)", self.label_smoothing)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        margin = self.beta * policy.over(reference).margin
        right, wrong = F.logsigmoid(margin), F.logsigmoid(-margin)
        gain, cost = right - math.log1p(-self.label_smoothing), wrong - math.log(self.label_smoothing)
        return margin.sigmoid() * gain + (-margin).sigmoid() * cost
