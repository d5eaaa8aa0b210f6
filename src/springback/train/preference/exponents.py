"""Exponents and logarithms that stay finite, in value and gradient."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def bounded(exponent: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The exponent, cut where the square of its exponential would overflow: 354 in float64, 44 in float32."""
    return exponent.clamp_max(math.log(torch.finfo(exponent.dtype).max) / 2)


def log_odds(logprob: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The log-odds log p − log(1 − p) of log p ≤ 0. p is kept one rounding below 1, whose odds are infinite."""
    inside = logprob.clamp_max(-torch.finfo(logprob.dtype).eps)
    return inside - log1mexp(inside)


def log1mexp(logprob: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Of log p < 0 the log(1 − p), exact at both ends (Mächler, 2012)."""
    return torch.where(logprob > -math.log(2), (-logprob.expm1()).log(), (-logprob.exp()).log1p())
