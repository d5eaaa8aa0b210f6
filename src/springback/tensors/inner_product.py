"""Inner products of large tensors without the error of a long float32 sum."""

import torch
from torch import Tensor

PIECE = 1 << 22
"""Elements that are copied to float64 at once: 32 MiB."""


def inner_product(one: Tensor, other: Tensor) -> float:
    """Σ one·other in float64, piece by piece; both have the same shape."""
    if one.shape != other.shape:
        raise ValueError(f"an inner product needs equal shapes, got {tuple(one.shape)} and {tuple(other.shape)}")
    pieces = zip(one.reshape(-1).split(PIECE), other.reshape(-1).split(PIECE), strict=True)
    return sum(float(torch.dot(a.double(), b.double())) for a, b in pieces)
