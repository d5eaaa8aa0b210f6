"""f-DPO (Wang et al., 2023), Table 1: DPO under another divergence than the reverse KL.

    ℓ = −log σ(β(f'(e^a) − f'(e^b)))      f'(u):   reverse KL  log u (that is DPO: `dpo.py`)
                                                   forward KL  −1/u
                                                   Jensen–Shannon  log(2u/(1 + u))
                                                   α-divergence  (1 − u^−α)/α, α in (0, 1)

α → 0 is DPO and α = 1 is the forward KL. For f' of a log-ratio, d is DPO's times e^x·f''(e^x): the forward KL
multiplies d_w by e^−a and d_l by e^−b, so once the rejected answer has fallen (b < 0 < a) nearly all the push is on
it, and the chosen answer follows it down more easily than under DPO. TRL has all of them (α in float32).

Departure: exponents are cut where their square would overflow (354 in float64, 44 in float32); behind that no gradient.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, require
from springback.train.preference.exponents import bounded
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair

BREAKS: frozenset[Law] = frozenset({"only the margin matters", "repetition does not matter"})


@dataclass(frozen=True, slots=True)
class FDPOForwardKL:
    """The divergence that covers the reference's mass."""

    paper: ClassVar = papers.F_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "−log σ(β(e^−b − e^−a))"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * (bounded(-ratio.rejected).exp() - bounded(-ratio.chosen).exp()))


@dataclass(frozen=True, slots=True)
class FDPOJensenShannon:
    """The divergence that is bounded."""

    paper: ClassVar = papers.F_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "−log σ(β(log σ(a) − log σ(b)))"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * (F.logsigmoid(ratio.chosen) - F.logsigmoid(ratio.rejected)))


@dataclass(frozen=True, slots=True)
class FDPOAlpha:
    """Between the reverse KL (α → 0) and the forward KL (α = 1)."""

    paper: ClassVar = papers.F_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "−log σ(β(e^−αb − e^−αa)/α)"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 0.5
    """Which divergence: in (0, 1]."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        require(0 < self.alpha <= 1, "alpha", "in (0, 1] (0 is dpo)", self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * (self._slope(ratio.chosen) - self._slope(ratio.rejected)))

    def _slope(self, ratio: PerPair) -> PerPair:
        """The value f' of the probability ratio."""
        return -bounded(-self.alpha * ratio).expm1() / self.alpha
