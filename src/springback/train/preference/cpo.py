"""Contrastive Preference Optimization (Xu et al., 2024), Eq. 3.

    ℓ = −log σ(β(log π_w − log π_l)) − α·log π_w / |y_w|

DPO with the uniform distribution as its reference, which is why a likelihood term belongs to it. As in TRL
(`cpo_alpha`), which means over all tokens of the micro-batch; here over each answer's own. Sums in the first term:
of two answers the longer one is less likely, so length counts as if it were quality. `nll=0` is the first term
alone.
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
class CPO:
    """Log-probabilities themselves as rewards, with the chosen answer's NLL."""

    paper: ClassVar = papers.CPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "only the margin matters",
            "length does not matter",
            "repetition does not matter",
            "the reference matters",
        }
    )
    formula: ClassVar = "−log σ(β(log π_w − log π_l)) − α log π_w / |w|"

    beta: float = 0.1
    """Scale β of the log-probabilities, per nat."""
    nll: float = 1.0
    """Weight α of the chosen answer's negative log-likelihood per token."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(nll=self.nll)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        return -F.logsigmoid(self.beta * policy.margin) - self.nll * policy.mean.chosen
