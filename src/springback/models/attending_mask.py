"""An additive attention mask that says itself how attention is computed under it.

It is given to a network like any other mask. Where the network hands it to torch's `scaled_dot_product_attention`,
`attend` answers; whatever else is done with it is done with a plain tensor.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class AttendingMask(Tensor):
    """[batch, 1, query, key]; 0 where a key is seen, the dtype's least number where not."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, **options: Any) -> Tensor:
        """What `scaled_dot_product_attention` with this mask returns, to rounding; it may be called with the mask."""
        return F.scaled_dot_product_attention(query, key, value, self, dropout_p, **options)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is F.scaled_dot_product_attention:
                return _attention(*args, **(kwargs or {}))
            out = func(*args, **(kwargs or {}))
        whole = func is Tensor.__getitem__ and out.shape == args[0].shape
        return args[0] if whole else out


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, *rest: Any, **named: Any) -> Tensor:
    return attn_mask.attend(query, key, value, *rest, **named)
