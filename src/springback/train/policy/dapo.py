"""DAPO, decoupled clip and dynamic sampling (Yu et al., 2025).

    A_i as in GRPO;  ℓ_it = −min(ρ_it A_i, clip(ρ_it, 1 − ε_low, 1 + ε_high) A_i);  mean over all tokens of the batch

Its four parts: 1. a higher upper clip (0.28), so that unlikely tokens may grow; 2. groups whose rewards are all equal
teach nothing and are left out of the mean; 3. the mean over tokens, not over answers; 4. soft punishment of too long
answers: over the last `cache` of the `length` tokens that an answer may have, the reward falls linearly to −1.
TRL's default `loss_type="dapo"` has part 3 alone, with both clips at 0.2.

Departure: groups without spread are left out and counted, others are not sampled in their place, so a batch may be
smaller than asked for. No penalty in the paper.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.policy.advantages import group_std, on_each_token, standardised
from springback.train.policy.aggregation import token_mean
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, after_penalty, in_loss, require
from springback.train.policy.written import Credit, Need, Objective, PerAnswer, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class DAPO:
    """GRPO with two clips, the mean over tokens, and without groups that teach nothing."""

    paper: ClassVar = papers.DAPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    low: float = 0.2
    """ε_low: how far a token's ratio may fall."""
    high: float = 0.28
    """ε_high: how far it may grow."""
    cache: int = 0
    """Tokens before `length` over which the reward falls to −1; 0: too long answers are not punished."""
    length: int = 0
    """Longest that an answer may be in tokens; 0: `--max-new-tokens`."""
    beta: float = 0.0
    """Weight of the penalty, a nat."""
    kl: Estimator = "k3"
    """Estimator of the divergence from the reference."""
    kl_in: Place = "loss"
    """Whether the penalty is added to the loss or taken off the reward (summed over the answer)."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.low, self.high)
        if self.cache < 0 or self.length < 0 or (self.length and self.cache > self.length):
            raise ValueError(f"0 ≤ cache ≤ length must hold, got {self.cache} and {self.length}")

    def credit(self, written: Written) -> Credit:
        rewards = after_penalty(self, written) - self.too_long(written)
        advantages = standardised(rewards, written.group)
        return Credit(on_each_token(advantages, written.real), group_std(rewards, written.group) > 0)

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.low, high=self.high)
        by_token = found.loss + in_loss(self, policy, written)
        return Objective(*token_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)

    def too_long(self, written: Written) -> PerAnswer:
        """Soft overlong punishment in [0, 1] (eq. 13): 0 up to length − cache tokens, 1 at the length."""
        if not self.cache:
            return written.lengths * 0
        if not self.length:
            raise ValueError("DAPO's punishment of long answers needs the longest allowed: DAPO(cache=…, length=…)")
        return ((written.lengths - (self.length - self.cache)) / self.cache).clamp(0, 1)
