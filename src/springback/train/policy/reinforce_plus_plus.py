"""REINFORCE++ (Hu, 2025).

    A_t = r − β·Σ_{s ≥ t} k1_s,  less its mean, by its standard deviation, over all tokens of the batch
    ℓ_t = −min(ρ_t A_t, clip(ρ_t, 1±ε) A_t);  mean over the batch's tokens

PPO without a value head: the batch is the baseline. One answer a prompt is enough. The baseline is the same for easy
and hard prompts, so an answer to an easy prompt is praised for the prompt; `ReinforcePlusPlusBaseline` takes the
prompt's mean off first, and has its penalty, k2, in the loss.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.policy.advantages import at_the_end, centred, on_each_token, to_go, whitened
from springback.train.policy.aggregation import token_mean
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, after_penalty, in_loss, in_reward, require
from springback.train.policy.method import all_kept
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class ReinforcePlusPlus:
    """Token-level returns, normalised over the batch."""

    paper: ClassVar = papers.REINFORCE_PLUS_PLUS
    needs: ClassVar[AbstractSet[Need]] = frozenset()

    epsilon: float = 0.2
    """ε: how far a token's ratio may move, either way."""
    beta: float = 0.01
    """Weight of the penalty, reward a nat."""
    kl: Estimator = "k1"
    """Estimator of KL(π‖π_ref)."""
    kl_in: Place = "reward"
    """Whether the penalty is taken off the reward, token by token, or added to the loss."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.epsilon, self.epsilon)

    def credit(self, written: Written) -> Credit:
        rewards = at_the_end(written.rewards, written.real) - in_reward(self, written)
        return Credit(whitened(to_go(rewards).where(written.real, 0.0), written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.epsilon, high=self.epsilon)
        by_token = found.loss + in_loss(self, policy, written)
        return Objective(*token_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)


@dataclass(frozen=True, slots=True)
class ReinforcePlusPlusBaseline:
    """The prompt's mean off first, then normalised over the batch."""

    paper: ClassVar = papers.REINFORCE_PLUS_PLUS
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    epsilon: float = 0.2
    """ε: how far a token's ratio may move, either way."""
    beta: float = 0.01
    """Weight of the penalty, a nat."""
    kl: Estimator = "k2"
    """Estimator of KL(π‖π_ref)."""
    kl_in: Place = "loss"
    """Whether the penalty is added to the loss or taken off the reward (summed over the answer)."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.epsilon, self.epsilon)

    def credit(self, written: Written) -> Credit:
        advantages = on_each_token(centred(after_penalty(self, written), written.group), written.real)
        return Credit(whitened(advantages, written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.epsilon, high=self.epsilon)
        by_token = found.loss + in_loss(self, policy, written)
        return Objective(*token_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)
