"""REINFORCE leave-one-out (Ahmadian et al., 2024; Kool et al., 2019).

    ℓ_i = −A_i · π(y_i) / π_old(y_i),   A_i = R_i − mean of the other R to the prompt,   R = r − β·Σ_t k1_t

An answer is one action: one ratio, one advantage, the sum over its tokens. With the weights that wrote the answers the
ratio is 1 and the gradient is the paper's, −A_i ∇log π(y_i). `epsilon` clips the sequence's ratio as TRL does; the
paper does not, and takes one step on each batch. Unbiased; its variance grows with the length of answers.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.policy.advantages import leave_one_out, on_each_token
from springback.train.policy.aggregation import sequence_sum
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, after_penalty, in_loss, require
from springback.train.policy.method import all_kept
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class RLOO:
    """Each answer against the mean of the others to its prompt."""

    paper: ClassVar = papers.RLOO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    epsilon: float = 0.0
    """Clip of the sequence's ratio, either way; 0: none."""
    beta: float = 0.05
    """Weight of the penalty, reward a nat."""
    kl: Estimator = "k1"
    """Estimator of KL(π‖π_ref)."""
    kl_in: Place = "reward"
    """Whether the penalty is taken off the reward (summed over the answer) or added to the loss."""

    def __post_init__(self) -> None:
        require(self)
        if self.epsilon:
            require_range(self.epsilon, self.epsilon)

    def credit(self, written: Written) -> Credit:
        advantages = leave_one_out(after_penalty(self, written), written.group)
        return Credit(on_each_token(advantages, written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        whole = log_ratio(policy, written).sum(dim=1, keepdim=True).expand_as(policy)
        near, far = (self.epsilon, self.epsilon) if self.epsilon else (1.0, float("inf"))
        found = surrogate(whole, credit.advantages, low=near, high=far)
        share = found.loss / written.real.sum(dim=1, keepdim=True)  # the answer's loss, spread over its tokens
        by_token = share.where(written.real, 0.0) + in_loss(self, policy, written)
        return Objective(*sequence_sum(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)
