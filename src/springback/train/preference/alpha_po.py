"""AlphaPO (Gupta et al., 2025): SimPO with another shape of reward.

    ℓ = −log σ(β(r_w − r_l) − γ),   r = (1 − p̄^−α)/α,   p̄ = exp(log π(y|x)/|y|)

α → 0 is SimPO. With α > 0 the reward falls ever faster as an answer grows unlikely: d is that of SimPO times p̄^−α,
so the less likely answer moves more. γ is absolute here. TRL applies the transform to *sums* in its `sigmoid` loss:
there both rewards vanish or overflow within a few hundred nats.

Departure: the exponent −α·log p̄ is cut where its square would overflow (354 in float64, 44 in float32); behind that an
answer has no gradient.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import finite, positive, require
from springback.train.preference.exponents import bounded
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class AlphaPO:
    """SimPO on a power of the probability."""

    paper: ClassVar = papers.ALPHA_PO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "only the margin matters", "length does not matter", "the reference matters"}
    )
    formula: ClassVar = "−log σ(β(r_w − r_l) − γ), r = (1 − p̄^−α)/α"

    alpha: float = 0.25
    """Shape α of the reward, not 0. Below 0 the likelier answer moves more."""
    beta: float = 2.5
    """Scale β of the reward."""
    gamma: float = 0.5
    """Target reward margin γ, after β."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        finite(alpha=self.alpha, gamma=self.gamma)
        require(self.alpha != 0, "alpha", "another number than 0 (0 is simpo)", self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        rewards = self._reward(policy.mean.chosen) - self._reward(policy.mean.rejected)
        return -F.logsigmoid(self.beta * rewards - self.gamma)

    def _reward(self, mean: PerPair) -> PerPair:
        return -bounded(-self.alpha * mean).expm1() / self.alpha
