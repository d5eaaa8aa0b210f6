"""Attention of one new token a row: on a CPU in float32 where the network computes in 16 bits.

With a single query torch's CPU kernel takes 4 to 8 times as long in bfloat16 as in float32, conversion of keys and
values included (16 rows, 9 heads, 76 to 512 keys), and it rounds the attention weights.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from springback.models.attending_mask import AttendingMask
from springback.models.packing import reach, why_not


def mask(network: nn.Module, seen: Bool[Tensor, "row key"]) -> Tensor:
    """The mask for one new token a row, in the form in which this network attends to `seen` the fastest."""
    weight = next(network.parameters())
    coarse = weight.device.type == "cpu" and weight.dtype in (torch.bfloat16, torch.float16)
    if not coarse or seen.shape[1] > reach(network) or why_not(network) is not None:
        return seen.long()
    additive = torch.zeros(seen.shape, dtype=weight.dtype).masked_fill_(~seen, torch.finfo(weight.dtype).min)
    return torch.Tensor._make_subclass(SingleQueryMask, additive[:, None, None])


class SingleQueryMask(AttendingMask):
    """[row, 1, 1, key]; attention under it is computed in float32."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, **options: Any) -> Tensor:
        query_, key_, value_, mask_ = (tensor.float() for tensor in (query, key, value, self))
        return F.scaled_dot_product_attention(query_, key_, value_, mask_, dropout_p, **options).to(query.dtype)
