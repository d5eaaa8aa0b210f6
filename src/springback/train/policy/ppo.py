"""Proximal policy optimisation (Schulman et al., 2017; for language models Ziegler et al., 2019, Ouyang et al., 2022).

    ℓ_t = −min(ρ_t A_t, clip(ρ_t, 1±ε) A_t) + c·½ max((v_t − R_t)², (clip(v_t, v_old ± ε_v) − R_t)²)
    A: generalised advantage estimation of r_t = −β·k1_t, plus the reward on the answer's last token;  R = A + v_old

Mean over the batch's tokens. The coefficient β is fixed, or follows a target (Ziegler et al., eq. 6): β ← β(1 + e·n/h),
e = clip(KL/target − 1, ±0.2), n answers, h the horizon. What it does not guarantee: that a clipped ratio stays inside
its range (clipping takes a gradient away, it does not project), nor anything about V where answers are few.

Departures: 1. V reads the policy's last hidden states and sends no gradient into them (`train/policy/value_head.py`):
the value loss does not move the policy. 2. An answer that ran into the length limit is an ended one: V = 0 behind it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from springback import papers
from springback.train.policy.advantages import at_the_end, generalised, whitened
from springback.train.policy.aggregation import token_mean
from springback.train.policy.clipping import require_range, surrogate
from springback.train.policy.kl import Estimator, Place, in_loss, in_reward, require
from springback.train.policy.method import all_kept
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written, log_ratio


@dataclass(frozen=True, slots=True)
class PPO:
    """Clipped surrogate with generalised advantages and a value head."""

    paper: ClassVar = papers.PPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"values"})

    epsilon: float = 0.2
    """ε: how far a token's ratio may move, either way."""
    value_epsilon: float = 0.2
    """How far V may move from its old value."""
    value_coefficient: float = 0.1
    """c: weight of the value loss."""
    gamma: float = 1.0
    """Discount a token."""
    lam: float = 0.95
    """λ of generalised advantage estimation."""
    whiten: bool = True
    """Advantages less their mean, by their standard deviation, over the tokens of the batch."""
    beta: float = 0.05
    """Weight of the penalty, reward a nat; the first one where `target` is given."""
    kl: Estimator = "k1"
    """Estimator of KL(π‖π_ref)."""
    kl_in: Place = "reward"
    """Whether the penalty is taken off the reward or added to the loss."""
    target: float = 0.0
    """KL of an answer, in nats, that β is steered to; 0: β is fixed."""
    horizon: float = 10_000.0
    """Answers over which β may change by a factor of e^0.2."""

    def __post_init__(self) -> None:
        require(self)
        require_range(self.epsilon, self.epsilon)
        if not 0 < self.gamma <= 1 or not 0 <= self.lam <= 1:
            raise ValueError(f"gamma must be in (0, 1] and lam in [0, 1], got {self.gamma} and {self.lam}")
        if self.value_epsilon <= 0 or self.value_coefficient < 0 or self.target < 0 or self.horizon <= 0:
            raise ValueError(
                f"value_epsilon > 0, value_coefficient ≥ 0, target ≥ 0 and horizon > 0 must hold, got {self}"
            )

    def credit(self, written: Written) -> Credit:
        values = _values(written)
        rewards = at_the_end(written.rewards, written.real) - in_reward(self, written)
        advantages = generalised(rewards, values, written.real, gamma=self.gamma, lam=self.lam)
        returns = torch.where(written.real, advantages + values, 0.0)
        kept = whitened(advantages, written.real) if self.whiten else advantages
        return Credit(kept, all_kept(written), returns)

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        found = surrogate(log_ratio(policy, written), credit.advantages, low=self.epsilon, high=self.epsilon)
        by_token = found.loss + in_loss(self, policy, written)
        by_token = by_token + self.value_coefficient * self._value_loss(values, written, credit)
        return Objective(*token_mean(by_token, written.real, credit.kept), by_token, found.ratio, found.clipped)

    def after(self, kl: float, answers: int) -> "PPO":
        """The method of the next step; `kl` is the batch's mean KL of an answer, nats."""
        if not self.target:
            return self
        error = max(-0.2, min(0.2, kl / self.target - 1))
        return replace(self, beta=self.beta * (1 + error * answers / self.horizon))

    def _value_loss(self, values: PerToken | None, written: Written, credit: Credit) -> PerToken:
        if values is None or credit.returns is None:
            raise ValueError("PPO needs the values of every token: PPO(…)(policy, written, credit, values)")
        old = _values(written)
        near = old + (values - old).clamp(-self.value_epsilon, self.value_epsilon)
        loss = torch.maximum((values - credit.returns).square(), (near - credit.returns).square()) / 2
        return torch.where(written.real, loss, 0.0)


def _values(written: Written) -> PerToken:
    if written.values is None:
        raise ValueError("PPO needs the values that held while the answers were written: Written(values=…)")
    return written.values
