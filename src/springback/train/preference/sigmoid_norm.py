"""Length-normalised DPO (Tülu 3, Lambert et al., 2024, Eq. 6).

    ℓ = −log σ(β(a/|y_w| − b/|y_l|))

DPO's reward per token, with its reference; d_w : d_l = |y_l| : |y_w| as in SimPO. At equal β the push is |y| times
weaker than DPO's, so Tülu 3 has β 5; TRL's `sigmoid_norm` keeps DPO's 0.1 unless told otherwise.
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
class SigmoidNorm:
    """DPO on log-ratios per token."""

    paper: ClassVar = papers.TULU_3
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"only the margin matters", "length does not matter"})
    formula: ClassVar = "−log σ(β(a/|w| − b/|l|))"

    beta: float = 5.0
    """Strength of the pull towards the reference, per nat per token."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * policy.mean_over(reference).margin)
