"""Negative Preference Optimization (Zhang et al., 2024), Eq. 3, and DPO without its chosen half.

    NPO                ℓ = −(2/β)·log σ(−βb)
    rejected-only DPO  ℓ = −log σ(−βb)

Only the rejected answer is pushed, down: for unlearning. d_w = 0, so the chosen answer moves by entanglement alone, and
the mass that leaves the rejected answer goes where it likes. β → 0 is gradient ascent on the rejected answer (NPO keeps
its slope of 1 there, which is why it has 2/β); β > 0 lets the push fade as b falls. The two differ by the factor 2/β.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class NPO:
    """The paper's scale."""

    paper: ClassVar = papers.NPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "raises the chosen answer", "only the margin matters", "repetition does not matter"}
    )
    formula: ClassVar = "−(2/β) log σ(−βb)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -2 / self.beta * F.logsigmoid(-self.beta * policy.over(reference).rejected)


@dataclass(frozen=True, slots=True)
class RejectedOnlyDPO:
    """DPO's scale."""

    paper: ClassVar = papers.NPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"raises the chosen answer", "only the margin matters", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(−βb)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(-self.beta * policy.over(reference).rejected)
