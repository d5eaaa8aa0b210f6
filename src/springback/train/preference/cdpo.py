"""Conservative DPO (Mitchell, 2023, a note).

    ℓ = −(1 − ε)·log σ(βΔ) − ε·log σ(−βΔ)

The cross-entropy against labels that are wrong with probability ε: its optimum is the finite margin βΔ = logit(1 −
ε), and a pair beyond it is pulled back. That is no entanglement: d_w = d_l = β(σ(−βΔ) − ε) turns negative there. It
is biased where labels do flip; `robust_dpo.py` is the unbiased form. OpenRLHF and LLaMA-Factory have it; TRL 1.16
does not.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, share_up_to_half
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class CDPO:
    """DPO with smoothed labels."""

    paper: ClassVar = papers.CDPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"pushes the right way everywhere", "repetition does not matter"})
    formula: ClassVar = "−(1−ε) log σ(βΔ) − ε log σ(−βΔ)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    label_smoothing: float = 0.1
    """Share ε of pairs believed to be labelled the wrong way round, in [0, ½)."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        share_up_to_half(label_smoothing=self.label_smoothing)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        margin = self.beta * policy.over(reference).margin
        right, wrong = F.logsigmoid(margin), F.logsigmoid(-margin)
        return -(1 - self.label_smoothing) * right - self.label_smoothing * wrong
