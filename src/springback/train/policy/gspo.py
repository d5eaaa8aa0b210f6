"""Group sequence policy optimisation (Zheng et al., 2025).

    s_i = exp(mean_t log(π/π_old)) = (π(y_i) / π_old(y_i))^(1/|y_i|)
    ℓ_i = −min(s_i A_i, clip(s_i, 1 − 3e-4, 1 + 4e-4) A_i),   A as in GRPO;  mean over answers

One ratio for the answer, of the size of a token's. It moves far less than a token's ratio does, hence the narrow clip:
with a token's clip of 0.2 it would never act. The gradient of an answer is A_i s_i · mean_t ∇log π, so its length does
not weigh. With one update a batch the ratio is 1 and this is GRPO.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.policy.advantages import on_each_token, standardised
from springback.train.policy.aggregation import sequence_mean
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, after_penalty, in_loss, require
from springback.train.policy.method import all_kept
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class GSPO:
    """GRPO with one ratio for the whole answer."""

    paper: ClassVar = papers.GSPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    low: float = 3e-4
    """How far the answer's ratio may fall."""
    high: float = 4e-4
    """How far it may grow."""
    beta: float = 0.0
    """Weight of the penalty, a nat."""
    kl: Estimator = "k3"
    """Estimator of the divergence from the reference."""
    kl_in: Place = "loss"
    """Whether the penalty is added to the loss or taken off the reward (summed over the answer)."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.low, self.high)

    def credit(self, written: Written) -> Credit:
        advantages = standardised(after_penalty(self, written), written.group)
        return Credit(on_each_token(advantages, written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        mean = log_ratio(policy, written).sum(dim=1, keepdim=True) / written.real.sum(dim=1, keepdim=True)
        found = surrogate(mean.expand_as(policy), credit.advantages, low=self.low, high=self.high)
        by_token = found.loss.where(written.real, 0.0) + in_loss(self, policy, written)
        return Objective(*sequence_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)
