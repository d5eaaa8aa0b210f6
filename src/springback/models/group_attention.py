"""Attention under a group's mask, block by block: keys that no query of a block may see are not computed.

`GroupMask` is an ordinary additive mask that knows its blocks as well. Where it is given to torch's
`scaled_dot_product_attention` on a CPU, each block of queries meets its prompt's keys and its own only, with its part
of the mask, in torch's own kernel: about half the products of the rectangle, growing with P + K·R for K answers and not
with its square. Everything else that is done with it, and every other device, sees the plain mask. In float32 in a
bfloat16 network: the kernel's backward pass is slower in bfloat16, and rounds the attention weights.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 96
"""Queries of a block, about; 64 to 128 were equally fast on a CPU core, 32 and 192 slower."""
_OPERATIONS = ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward")


class Block(NamedTuple):
    """Queries that stand together in one batch row, and the keys that some of them see."""

    row: int
    queries: slice
    keys: tuple[slice, ...]

    @property
    def area(self) -> int:
        """Products of a query and a key."""
        return (self.queries.stop - self.queries.start) * sum(_lengths(self.keys))


class GroupMask(Tensor):
    """An additive attention mask [batch, 1, time, time] with its blocks; outside them nothing is seen."""

    parts: tuple[tuple[Block, Tensor], ...]
    """Each block with its part of the mask."""

    @staticmethod
    def of(mask: Tensor, blocks: Sequence[Block]) -> "GroupMask":
        """The mask with its blocks. A query in no block gets zeros: padding."""
        made = torch.Tensor._make_subclass(GroupMask, mask)
        made.parts = tuple((block, _part(mask, block)) for block in blocks)
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is F.scaled_dot_product_attention:
                return _attention(*args, **(kwargs or {}))
            out = func(*args, **(kwargs or {}))
        whole = func is Tensor.__getitem__ and out.shape == args[0].shape
        return args[0] if whole else out


def available() -> bool:
    """Whether this torch has the operations that blocks are computed by."""
    return all(hasattr(torch.ops.aten, name) for name in _OPERATIONS)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, **options: Any
) -> Tensor:
    """`scaled_dot_product_attention` under a `GroupMask`."""
    plain = dropout_p == 0 and not options.get("is_causal") and query.device.type == "cpu"
    if plain and query.shape == key.shape == value.shape and query.shape[-2] == attn_mask.shape[-1] and available():
        return _Blocks.apply(query, key, value, attn_mask.parts, options.get("scale"))  # pyright: ignore[reportReturnType]
    return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, **options)


class _Blocks(torch.autograd.Function):
    """One call of the kernel a block."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, parts: Any, scale: float | None) -> Tensor:
        kernel = getattr(torch.ops.aten, _OPERATIONS[0])
        working, weights = [_working(tensor) for tensor in (query, key, value)], []
        batch, head, time, width = query.shape
        out = query.new_zeros(batch, time, head, width).transpose(1, 2)  # in memory as the networks want it next
        for block, mask in parts:
            made, logsum = kernel(*_given(block, *working), 0.0, attn_mask=mask, scale=scale)
            out[block.row, :, block.queries] = made[0]
            weights.append(logsum)
        ctx.save_for_backward(query, key, value, out, *weights)
        ctx.parts, ctx.scale = parts, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernel = getattr(torch.ops.aten, _OPERATIONS[1])
        query, key, value, out, *weights = ctx.saved_tensors
        working = [_working(tensor) for tensor in (query, key, value)]
        slope, out = _working(slope), _working(out)
        total = [torch.zeros_like(tensor) for tensor in working]
        for (block, mask), logsum in zip(ctx.parts, weights, strict=True):
            of_queries = [_rows(tensor, block.row, block.queries) for tensor in (slope, out)]
            given = of_queries[0], *_given(block, *working), of_queries[1], logsum
            made = kernel(*given, 0.0, False, attn_mask=mask, scale=ctx.scale)  # noqa: FBT003  the kernel's own order
            total[0][block.row, :, block.queries] = made[0][0]
            for whole, part in zip(total[1:], made[1:], strict=True):
                for where, some in zip(block.keys, part[0].split(_lengths(block.keys), 1), strict=True):
                    whole[block.row, :, where] += some
        return *(tensor.to(query.dtype) for tensor in total), None, None


def _given(block: Block, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A block's queries, keys and values."""
    seen = [[_rows(whole, block.row, where) for where in block.keys] for whole in (key, value)]
    keys, values = (parts[0] if len(parts) == 1 else torch.cat(parts, 2) for parts in seen)
    return _rows(query, block.row, block.queries), keys, values


def _rows(whole: Tensor, row: int, where: slice) -> Tensor:
    return whole[row : row + 1, :, where]


def _part(mask: Tensor, block: Block) -> Tensor:
    of_row = mask[block.row, :, block.queries]
    return _working(torch.cat([of_row[..., where] for where in block.keys], -1))[None].contiguous()


def _lengths(spans: Sequence[slice]) -> list[int]:
    return [span.stop - span.start for span in spans]


def _working(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
