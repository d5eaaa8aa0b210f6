"""PPO's clipped surrogate: no further gain from moving a ratio beyond 1 − low or 1 + high.

ℓ = −min(ρ·A, clip(ρ, 1 − low, 1 + high)·A),   ρ = π / π_old
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from springback.train.policy.written import PerToken


class Clipped(NamedTuple):
    """The surrogate of each token."""

    loss: PerToken
    ratio: PerToken
    """Detached."""
    clipped: Bool[Tensor, "answer time"]
    """Where the clipped side was the smaller one: no gradient comes from there."""


def surrogate(log_ratio: PerToken, advantages: PerToken, *, low: float, high: float) -> Clipped:
    """The clipped surrogate for log-ratios and advantages of one shape."""
    ratio = log_ratio.exp()
    plain, bounded = ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages
    return Clipped(-torch.minimum(plain, bounded), ratio.detach(), bounded.detach() < plain.detach())


def require_range(low: float, high: float) -> None:
    """`ValueError` where a ratio cannot be clipped so."""
    if not 0 < low < 1 or not high > 0:
        raise ValueError(f"the clip range must have 0 < low < 1 and high > 0, got {low} and {high}")
