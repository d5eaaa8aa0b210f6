"""Estimators of KL(π‖π_ref) from sampled tokens (Schulman, 2020, "Approximating KL divergence"), by name.

With x = log π(y_t) − log π_ref(y_t) of a token drawn from π:

    name      value            E[value]   as a loss term, E∇ is            as a reward (−β·value, detached) it is
    k1        x                KL         0: it does nothing               right: ∇ of −β·KL(π‖π_ref)
    k2        x²/2             ≠ KL       ∇KL(π‖π_ref)                     biased
    k3        e^−x − 1 + x     KL         ∇KL(π_ref‖π), the other way      biased
    k3_plus   k3               KL         ∇KL(π‖π_ref)                     –
    k3_ratio  (π/π_old)·k3     KL         ∇KL(π‖π_ref)                     –

so an estimator may be right as a number and wrong as a gradient. `k3_plus` has the value of k3 and the gradient of k2
(verl's straight-through form); `k3_ratio` multiplies k3 by the live ratio (TRL's `use_bias_correction_kl`), which also
corrects samples of older weights, token by token. All E are over one token given its beginning, on-policy.

k1 in the loss is refused, and k3_plus and k3_ratio in the reward, where a gradient would be ignored. Nothing is
clamped: at 700 nats k3 overflows in float64, and the training loop names the step.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol, runtime_checkable

import torch

from springback.train.policy.written import PerAnswer, PerToken, Written, log_ratio

Estimator = Literal["k1", "k2", "k3", "k3_plus", "k3_ratio"]
Place = Literal["reward", "loss"]


@runtime_checkable
class Penalised(Protocol):
    """The three fields by which every method states its penalty."""

    @property
    def beta(self) -> float:
        """Its weight, in units of reward a nat; 0: no penalty, and no reference is needed."""
        ...

    @property
    def kl(self) -> Estimator:
        """Its estimator."""
        ...

    @property
    def kl_in(self) -> Place:
        """Where it stands; never in both."""
        ...


def k1(x: PerToken, ratio: PerToken) -> PerToken:
    """The log-ratio itself."""
    del ratio
    return x


def k2(x: PerToken, ratio: PerToken) -> PerToken:
    """Half its square."""
    del ratio
    return x.square() / 2


def k3(x: PerToken, ratio: PerToken) -> PerToken:
    """Never negative, unbiased, of less variance than k1 where π and π_ref are near."""
    del ratio
    return torch.expm1(-x) + x


def k3_plus(x: PerToken, ratio: PerToken) -> PerToken:
    """The value of k3 with the gradient of k2."""
    return k2(x, ratio) + (k3(x, ratio) - k2(x, ratio)).detach()


def k3_ratio(x: PerToken, ratio: PerToken) -> PerToken:
    """k3 weighed by the live ratio to the weights that wrote the token."""
    return ratio * k3(x, ratio)


ESTIMATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "k1": k1, "k2": k2, "k3": k3, "k3_plus": k3_plus, "k3_ratio": k3_ratio,
}  # fmt: skip
IN_REWARD: Final = ("k1", "k2", "k3")
IN_LOSS: Final = ("k2", "k3", "k3_plus", "k3_ratio")


def require(method: Penalised) -> None:
    """`ValueError` where the penalty cannot do what its name says."""
    if method.beta < 0:
        raise ValueError(f"beta must be ≥ 0, got {method.beta}")
    if method.kl_in not in ("reward", "loss"):
        raise ValueError(f"kl_in must be reward or loss, got {method.kl_in}")
    allowed = IN_REWARD if method.kl_in == "reward" else IN_LOSS
    if method.kl not in allowed:
        why = {"k1": ": its gradient there is 0 on average"}.get(method.kl, "")
        raise ValueError(f"kl_in={method.kl_in} takes kl={', '.join(allowed)}; got {method.kl}{why}")


def in_reward(method: Penalised, written: Written) -> PerToken:
    """What is taken off the reward at every token: β·estimate by the weights that wrote; 0 where it is in the loss."""
    if method.kl_in != "reward" or method.beta == 0:
        return torch.zeros_like(written.real, dtype=written.rewards.dtype)
    if written.old is None:
        raise ValueError(
            "a penalty in the reward needs the log-probabilities of the weights that wrote: Written(old=…)"
        )
    x = torch.where(written.real, written.old - _reference(written), 0.0).detach()
    return method.beta * ESTIMATORS[method.kl](x, torch.ones_like(x))


def in_loss(method: Penalised, policy: PerToken, written: Written) -> PerToken:
    """What is added to the loss of every token: β·estimate with its gradient; 0 where it is in the reward."""
    if method.kl_in != "loss" or method.beta == 0:
        return torch.zeros_like(policy)
    x = torch.where(written.real, policy - _reference(written), 0.0)
    return method.beta * ESTIMATORS[method.kl](x, log_ratio(policy, written).exp())


def after_penalty(method: Penalised, written: Written) -> PerAnswer:
    """Reward of each answer less its penalty in the reward, summed over its tokens."""
    return written.rewards - in_reward(method, written).sum(dim=1)


def _reference(written: Written) -> PerToken:
    if written.reference is None:
        raise ValueError("beta > 0 needs the reference's log-probabilities: Written(reference=…)")
    return written.reference
