"""Token-level Direct Preference Optimization (Zeng et al., 2024): DPO less the difference of both sequential KL.

    TDPO1:  ℓ = −log σ(β (Δ − (D_l − D_w)))
    TDPO2:  ℓ = −log σ(β (Δ − α (D_l − sg(D_w))))
    D = Σ_t KL(π_ref(·|x, y_<t) ‖ π(·|x, y_<t)) along the answer, over the whole vocabulary;  sg stops the gradient

TDPO1 raises D_w while it lowers D_l; TDPO2 holds D_l down and leaves D_w alone, and is what the authors' code does by
default, with α = 0.5. D carries gradients of its own, through every token of the vocabulary, so d_w and d_l, per unit
of log π of the answers, are not the whole update: Condition 1 on them ignores that part.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class TDPO1:
    """Both divergences with their gradients and weight 1."""

    paper: ClassVar = papers.TDPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "divergence"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter"})
    formula: ClassVar = "−log σ(β(Δ − (D_l − D_w))), D the sequential KL(ref ‖ π)"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        along = given(policy.divergence, "divergence")
        return -F.logsigmoid(self.beta * (policy.over(reference).margin - (along.rejected - along.chosen)))


@dataclass(frozen=True, slots=True)
class TDPO2:
    """The chosen answer's divergence is a constant to the gradient; both weigh α."""

    paper: ClassVar = papers.TDPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "divergence"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter"})
    formula: ClassVar = "−log σ(β(Δ − α(D_l − sg D_w))), D the sequential KL(ref ‖ π)"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 0.5
    """Weight of the divergences; 0 is DPO."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.at_least_zero(alpha=self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        along = given(policy.divergence, "divergence")
        wider = along.rejected - along.chosen.detach()
        return -F.logsigmoid(self.beta * (policy.over(reference).margin - self.alpha * wider))
