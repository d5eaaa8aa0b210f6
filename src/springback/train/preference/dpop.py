"""DPO-Positive (DPOP, Pal et al., 2024; the Smaug models), and the form with the penalty outside.

    DPOP          ℓ = −log σ(β(Δ − λ·max(0, −a)))      the paper
    DPOP outside  ℓ = −log σ(βΔ) + λ·max(0, −a)        community code

While the chosen answer is less likely than under the reference (a < 0), its weight is 1 + λ times the rejected one's:
d_w jumps at a = 0, so training may swing there, and both log-probabilities can rise together. It does not keep the
chosen answer above its reference, it pushes it back. At β 0.1 and λ 50, one nat below the reference costs 5 logits. The
form outside has neither β nor the sigmoid on its penalty: its push does not fade, and 0.3 nats cost 15 nats of loss.
No trainer has DPOP (TRL closed a request unmerged); code outside has been seen with the penalty's sign wrong as well.
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
class DPOP:
    """The paper's: the penalty stands inside the sigmoid."""

    paper: ClassVar = papers.DPOP
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"only the margin matters", "repetition does not matter"})
    formula: ClassVar = "−log σ(β(Δ − λ max(0, −a)))"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    penalty: float = 50.0
    """Weight λ of each nat that the chosen answer lies below its reference."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(penalty=self.penalty)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * (ratio.margin - self.penalty * (-ratio.chosen).relu()))


@dataclass(frozen=True, slots=True)
class DPOPOutside:
    """The penalty stands beside the logistic loss."""

    paper: ClassVar = papers.DPOP
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"only the margin matters", "repetition does not matter"})
    formula: ClassVar = "−log σ(βΔ) + λ max(0, −a)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    penalty: float = 50.0
    """Nats of loss λ for each nat that the chosen answer lies below its reference."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(penalty=self.penalty)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * ratio.margin) + self.penalty * (-ratio.chosen).relu()
