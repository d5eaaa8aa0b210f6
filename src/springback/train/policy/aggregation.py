"""From losses of tokens to a loss of the batch. Which way is part of the method: they weigh long answers differently.

    sequence_mean   (1/B) Σ_i (1/|y_i|) Σ_t ℓ_it      GRPO, GSPO: a token of a short answer weighs more, so short right
                                                      answers and long wrong ones are favoured (Liu et al., 2025, §3.1)
    token_mean      Σ_i Σ_t ℓ_it / Σ_i |y_i|          DAPO, PPO, REINFORCE++: every token of the batch weighs the same
    fixed_length    Σ_i Σ_t ℓ_it / (B·L)              Dr. GRPO: every token weighs the same in every batch; L a constant
    sequence_sum    (1/B) Σ_i Σ_t ℓ_it                RLOO: an answer is one action

Each gives a sum and what it is over, so that unequal micro-batches add up to the whole: a mean taken for each
micro-batch (as "BNPO" does) would depend on how the batch was cut.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from springback.train.policy.written import PerToken

Kept = Bool[Tensor, " answer"]
Real = Bool[Tensor, "answer time"]


class Sum(NamedTuple):
    """A sum and what it is over."""

    total: Float[Tensor, ""]
    weight: float


def sequence_mean(by_token: PerToken, real: Real, kept: Kept) -> Sum:
    """Mean over an answer's own tokens, then over answers."""
    means = _inside(by_token, real, kept).sum(dim=1) / real.sum(dim=1)
    return Sum(means.sum(), float(kept.sum()))


def token_mean(by_token: PerToken, real: Real, kept: Kept) -> Sum:
    """Mean over all tokens of the batch."""
    return Sum(_inside(by_token, real, kept).sum(), float((real & kept[:, None]).sum()))


def fixed_length(by_token: PerToken, real: Real, kept: Kept, *, tokens: int) -> Sum:
    """Sum over tokens by answers times a constant length."""
    return Sum(_inside(by_token, real, kept).sum(), float(kept.sum()) * tokens)


def sequence_sum(by_token: PerToken, real: Real, kept: Kept) -> Sum:
    """Sum over an answer's tokens, mean over answers."""
    return Sum(_inside(by_token, real, kept).sum(), float(kept.sum()))


def _inside(by_token: PerToken, real: Real, kept: Kept) -> PerToken:
    return torch.where(real & kept[:, None], by_token, 0.0)
