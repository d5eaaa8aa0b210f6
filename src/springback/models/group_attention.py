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
from torch import Tensor
from torch.autograd.function import once_differentiable

from springback.models.attending_mask import AttendingMask

BLOCK = 64
"""Queries of a block, about; 32 to 96 were equally fast on a CPU core, 192 was 10 % slower."""
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


class GroupMask(AttendingMask):
    """An additive attention mask [batch, 1, time, time] with its blocks; outside them nothing is seen."""

    parts: tuple[tuple[Block, Tensor], ...]
    """Each block with its part of the mask."""
    repeats: int
    """Query heads for each head of keys; the network hands over as many copies of the latter."""
    distances: "list[Tensor] | None" = None
    """Where a list stands: every call is answered under the plain mask, and how far blocks are from that comes here."""

    @staticmethod
    def of(mask: Tensor, blocks: Sequence[Block], repeats: int = 1) -> "GroupMask":
        """The mask with its blocks. A query in no block gets zeros: padding."""
        made = torch.Tensor._make_subclass(GroupMask, mask)
        made.parts = tuple((block, _part(mask, block, repeats)) for block in blocks)
        made.repeats = repeats
        return made

    def attend(self, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, **options: Any) -> Tensor:
        plain = dropout_p == 0 and not options.get("is_causal") and query.device.type == "cpu"
        if not (
            plain and query.shape == key.shape == value.shape and query.shape[-2] == self.shape[-1] and available()
        ):
            return super().attend(query, key, value, dropout_p, **options)
        made: Any = _Blocks.apply(query, key, value, self.parts, self.repeats, options.get("scale"))
        if self.distances is None:
            return made
        whole = super().attend(query, key, value, **options)
        self.distances.append((made - whole).float().square().mean().sqrt() / whole.float().std())
        return whole


def available() -> bool:
    """Whether this torch has the operations that blocks are computed by."""
    return all(hasattr(torch.ops.aten, name) for name in _OPERATIONS)


class _Blocks(torch.autograd.Function):
    """One call of the kernel a block. Query heads that share a head of keys stand one below the other."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, parts: Any, repeats: int, scale: float | None
    ) -> Tensor:
        kernel = getattr(torch.ops.aten, _OPERATIONS[0])
        key, value, weights = _first(key, repeats), _first(value, repeats), []
        keys, values = _working(key), _working(value)
        batch, head, time, width = query.shape
        out = query.new_zeros(batch, time, head, width).transpose(1, 2)  # in memory as the networks want it next
        for block, mask in parts:
            seen = [_seen(whole, block) for whole in (keys, values)]
            made, logsum = kernel(_asking(query, block, repeats), *seen, 0.0, attn_mask=mask, scale=scale)
            _put(out, block, made)
            weights.append(logsum)
        ctx.save_for_backward(query, key, value, out, *weights)
        ctx.given = parts, repeats, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernel = getattr(torch.ops.aten, _OPERATIONS[1])
        query, key, value, out, *weights = ctx.saved_tensors
        parts, repeats, scale = ctx.given
        keys, values, to_query = _working(key), _working(value), torch.zeros_like(query)
        to_seen = torch.zeros_like(keys), torch.zeros_like(values)
        for (block, mask), logsum in zip(parts, weights, strict=True):
            seen = [_seen(whole, block) for whole in (keys, values)]
            asking, made, wanted = (_asking(whole, block, repeats) for whole in (query, out, slope))
            given = wanted, asking, *seen, made, logsum, 0.0, False
            to_asking, *to_block = kernel(*given, attn_mask=mask, scale=scale)
            _put(to_query, block, to_asking)
            for whole, part in zip(to_seen, to_block, strict=True):
                _add(whole, block, part)
        return to_query, *(_to_first(whole, repeats, query.dtype) for whole in to_seen), None, None, None


def _first(copies: Tensor, repeats: int) -> Tensor:
    """The first of each head's copies, in memory of its own: the copies need not be kept."""
    return copies if repeats == 1 else copies[:, ::repeats].contiguous()


def _asking(whole: Tensor, block: Block, repeats: int) -> Tensor:
    """[1, heads of keys, repeats · queries, width] of a block's queries, or of what stands in their place."""
    of_block = _working(whole[block.row, :, block.queries])
    return of_block.unflatten(0, (-1, repeats)).flatten(1, 2)[None]


def _put(whole: Tensor, block: Block, made: Tensor) -> None:
    target = whole[block.row, :, block.queries]
    target.copy_(made[0].reshape(target.shape))


def _seen(whole: Tensor, block: Block) -> Tensor:
    """[1, heads of keys, keys, width] of what a block's queries see."""
    parts = [whole[block.row, :, where] for where in block.keys]
    return (parts[0] if len(parts) == 1 else torch.cat(parts, 1))[None]


def _add(whole: Tensor, block: Block, part: Tensor) -> None:
    for where, some in zip(block.keys, part[0].split(_lengths(block.keys), 1), strict=True):
        whole[block.row, :, where] += some


def _to_first(gradient: Tensor, repeats: int, dtype: torch.dtype) -> Tensor:
    """The gradient of copies: whole on the first of each, as what made the copies sums them."""
    if repeats == 1:
        return gradient.to(dtype)
    batch, head, time, width = gradient.shape
    made = torch.zeros(batch, head, repeats, time, width, dtype=dtype)
    made[:, :, 0] = gradient
    return made.flatten(1, 2)


def _part(mask: Tensor, block: Block, repeats: int) -> Tensor:
    of_row = mask[block.row, :, block.queries]
    return _working(torch.cat([of_row[..., where] for where in block.keys], -1)).repeat(1, repeats, 1)[None]


def _lengths(spans: Sequence[slice]) -> list[int]:
    return [span.stop - span.start for span in spans]


def _working(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
