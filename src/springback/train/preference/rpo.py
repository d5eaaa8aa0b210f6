"""DPO with a likelihood term (iterative RPO, Pang et al., 2024).

    ℓ = −log σ(βΔ) − α·log π(y_w|x) / |y_w|

The anchor raises d_w by α/|y_w| and leaves d_l: an NLL per token, of each pair by itself, so that it does not depend
on the micro-batch (TRL's `[sigmoid, sft]` takes the mean over all tokens of a micro-batch instead; so do
LLaMA-Factory's `pref_ftx` and OpenRLHF). With d_w ≠ d_l a step may *narrow* the margin. It keeps the chosen answer
up only where α/|y_w| outweighs the pull of the rejected one.
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
class RPO:
    """DPO and the chosen answer's NLL."""

    paper: ClassVar = papers.RPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "only the margin matters",
            "length does not matter",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "−log σ(βΔ) − α log π_w / |w|"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    nll: float = 1.0
    """Weight α of the chosen answer's negative log-likelihood per token."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(nll=self.nll)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * policy.over(reference).margin) - self.nll * policy.mean.chosen
