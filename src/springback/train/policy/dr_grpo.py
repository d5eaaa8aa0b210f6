"""Dr. GRPO, "GRPO done right" (Liu et al., 2025).

    A_i = r_i − mean of the answers to one prompt
    ℓ = Σ_i Σ_t −min(ρ_it A_i, clip(ρ_it, 1±ε) A_i) / (B·L),   L a constant: the length that answers may have

GRPO without its two biases: every token weighs the same whatever its answer's length, every prompt the same whatever
the spread of its rewards. The gradient is that of the mean reward (times a constant), so rewards keep their unit and
the learning rate depends on it. The paper uses no penalty; with one, put it where `train/policy/kl.py` says.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.policy.advantages import centred, on_each_token
from springback.train.policy.aggregation import fixed_length
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, after_penalty, in_loss, require
from springback.train.policy.method import all_kept
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class DrGRPO:
    """Rewards less their prompt's mean; the sum over tokens by a constant."""

    paper: ClassVar = papers.DR_GRPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    epsilon: float = 0.2
    """ε: how far a token's ratio may move, either way."""
    length: int = 0
    """L in tokens; 0: the longest that an answer may be (`--max-new-tokens`)."""
    beta: float = 0.0
    """Weight of the penalty, reward a nat (in the loss it is divided by L like everything)."""
    kl: Estimator = "k3"
    """Estimator of the divergence from the reference."""
    kl_in: Place = "loss"
    """Whether the penalty is added to the loss or taken off the reward (summed over the answer)."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.epsilon, self.epsilon)
        if self.length < 0:
            raise ValueError(f"length must be ≥ 0, got {self.length}")

    def credit(self, written: Written) -> Credit:
        advantages = centred(after_penalty(self, written), written.group)
        return Credit(on_each_token(advantages, written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        if not self.length:
            raise ValueError(
                "Dr. GRPO divides by a constant length: DrGRPO(length=…), the longest that an answer may be"
            )
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.epsilon, high=self.epsilon)
        by_token = found.loss + in_loss(self, policy, written)
        whole = fixed_length(by_token, written.real, credit.kept, tokens=self.length)
        return Objective(*whole, by_token, found.ratio, found.clipped)
