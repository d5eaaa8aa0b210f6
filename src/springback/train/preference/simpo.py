"""SimPO (Meng et al., 2024), Eq. 6, and the form with γ as a share of β.

    SimPO        ℓ = −log σ(β(μ_w − μ_l) − γ),         μ = log π(y|x) / |y|     the paper; TRL's `simpo_gamma`
    SimPO ratio  ℓ = −log σ(β(μ_w − μ_l − γ/β))                                 the authors' code, `gamma_beta_ratio`

No reference: nothing but the learning rate keeps the policy near where it began. The length normalisation makes d_w
: d_l = |y_l| : |y_w|, so the longer answer moves less, whichever it is. The two forms are equal at γ = β·ratio; a γ
of one recipe taken as the other's changes the target margin β-fold. β is 2 to 10 here, not DPO's 0.1.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import finite, positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class SimPO:
    """The paper's: γ is absolute."""

    paper: ClassVar = papers.SIMPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "only the margin matters", "length does not matter", "the reference matters"}
    )
    formula: ClassVar = "−log σ(β(μ_w − μ_l) − γ)"

    beta: float = 2.0
    """Scale β of the reward, per nat per token."""
    gamma: float = 1.0
    """Target reward margin γ, after β: the loss is log 2 at β(μ_w − μ_l) = γ."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        finite(gamma=self.gamma)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        return -F.logsigmoid(self.beta * policy.mean.margin - self.gamma)


@dataclass(frozen=True, slots=True)
class SimPORatio:
    """The authors' code: γ is given as γ/β."""

    paper: ClassVar = papers.SIMPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "only the margin matters", "length does not matter", "the reference matters"}
    )
    formula: ClassVar = "−log σ(β(μ_w − μ_l − γ/β))"

    beta: float = 2.0
    """Scale β of the reward, per nat per token."""
    gamma_beta_ratio: float = 0.5
    """Target margin γ/β, nats per token."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        finite(gamma_beta_ratio=self.gamma_beta_ratio)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        return -F.logsigmoid(self.beta * (policy.mean.margin - self.gamma_beta_ratio))
