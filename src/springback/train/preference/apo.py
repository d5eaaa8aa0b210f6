"""Anchored Preference Optimization (D'Oosterlinck et al., 2024): two methods for two kinds of data.

    APO-zero  ℓ = 1 − σ(βa) + σ(βb)          chosen answers better than the model's own: chosen up, rejected down
    APO-down  ℓ = σ(βa) + 1 − σ(βΔ)          chosen answers worse than the model's own: both down, rejected further

APO-zero's two weights are separate, each vanishing far from the reference in *either* direction: a pair that starts
badly wrong is not learnt. APO-down pushes nothing on the chosen answer at the reference (d_w = 0) and lowers it
afterwards: that is its purpose, not entanglement. Both as in TRL.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class APOZero:
    """Chosen answers up, rejected down."""

    paper: ClassVar = papers.APO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "only the margin matters", "repetition does not matter"}
    )
    formula: ClassVar = "1 − σ(βa) + σ(βb)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return (-self.beta * ratio.chosen).sigmoid() + (self.beta * ratio.rejected).sigmoid()


@dataclass(frozen=True, slots=True)
class APODown:
    """Both answers down, the rejected one further."""

    paper: ClassVar = papers.APO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "raises the chosen answer",
            "pushes the right way everywhere",
            "only the margin matters",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "σ(βa) + 1 − σ(βΔ)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return (self.beta * ratio.chosen).sigmoid() + (-self.beta * ratio.margin).sigmoid()
