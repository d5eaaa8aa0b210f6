"""Group relative policy optimisation (Shao et al., 2024).

    A_i = (r_i − mean) / (std + 1e-4) of the answers to one prompt, the same on every token of the answer
    ℓ_it = −min(ρ_it A_i, clip(ρ_it, 1±ε) A_i) + β·k3_it;  mean over the answer's own tokens, then over answers

std is with n − 1, as in TRL and verl. What it does not guarantee, and Dr. GRPO takes out: by the mean over its own
tokens a short right answer gains more and a long wrong one loses less; by the standard deviation, prompts that are
nearly always or nearly never solved weigh more. k3 in the loss pulls towards the minimum of KL(π_ref‖π), not of
KL(π‖π_ref) (`train/policy/kl.py`).
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
class GRPO:
    """Rewards standardised within the prompt; no value head."""

    paper: ClassVar = papers.GRPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"groups"})

    epsilon: float = 0.2
    """ε: how far a token's ratio may move, either way."""
    beta: float = 0.04
    """Weight of the penalty, a nat."""
    kl: Estimator = "k3"
    """Estimator of the divergence from the reference."""
    kl_in: Place = "loss"
    """Whether the penalty is added to the loss or taken off the reward (summed over the answer)."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.epsilon, self.epsilon)

    def credit(self, written: Written) -> Credit:
        advantages = standardised(after_penalty(self, written), written.group)
        return Credit(on_each_token(advantages, written.real), all_kept(written))

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        del values
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.epsilon, high=self.epsilon)
        by_token = found.loss + in_loss(self, policy, written)
        return Objective(*sequence_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)
