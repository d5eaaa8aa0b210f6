"""Robust DPO (Ray Chowdhury et al., 2024).

    ℓ = [−(1 − ε)·log σ(βΔ) + ε·log σ(−βΔ)] / (1 − 2ε)

The mean over labels that flip with probability ε is DPO's loss on the true ones. The price is variance: a single pair's
loss may be negative and has no lower bound, and d_w = d_l = β(σ(−βΔ) + ε/(1 − 2ε)) never falls to 0. An ε that is not
the true rate is no protection. TRL has it as `robust`.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, share_below_half
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class RobustDPO:
    """DPO, unbiased under flipped labels."""

    paper: ClassVar = papers.ROBUST_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter"})
    formula: ClassVar = "[−(1−ε) log σ(βΔ) + ε log σ(−βΔ)] / (1−2ε)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    label_smoothing: float = 0.1
    """Share ε of pairs believed to be labelled the wrong way round, in [0, ½)."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        share_below_half(label_smoothing=self.label_smoothing)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        margin = self.beta * policy.over(reference).margin
        right, wrong = F.logsigmoid(margin), F.logsigmoid(-margin)
        return ((self.label_smoothing - 1) * right + self.label_smoothing * wrong) / (1 - 2 * self.label_smoothing)
