"""Length-regularised DPO (R-DPO, Park et al., 2024), and the form with the other sign.

    R-DPO        ℓ = −log σ(βΔ + α(|y_w| − |y_l|))     the paper
    R-DPO minus  ℓ = −log σ(βΔ − α(|y_w| − |y_l|))     the repository of AlphaDPO, `rDPO` (there after β, as γ/β)

The plus follows from penalising length in the reward: a chosen answer that is the longer one has part of its margin
explained by its length, and is pushed *less*. With the minus it is pushed more: the form does the opposite of what its
name says, and stands here because it is in use. Lengths carry no gradient, so d_w = d_l as in DPO.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import at_least_zero, positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class RDPO:
    """The paper's: a longer chosen answer needs less margin."""

    paper: ClassVar = papers.R_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "length does not matter", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(βΔ + α(|w| − |l|))"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    alpha: float = 0.01
    """Weight α of a token of difference in length."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(alpha=self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * policy.over(reference).margin + self.alpha * policy.lengths.margin)


@dataclass(frozen=True, slots=True)
class RDPOMinus:
    """The other sign: a longer chosen answer needs more margin."""

    paper: ClassVar = papers.R_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "length does not matter", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(βΔ − α(|w| − |l|))"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    alpha: float = 0.01
    """Weight α of a token of difference in length."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(alpha=self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * policy.over(reference).margin - self.alpha * policy.lengths.margin)
