"""A frozen linear layer with several LoRA adapters: y = W x + s_a · B_a A_a x, each row x with its own adapter a.

The frozen product is one matrix product over the rows of all adapters; the low-rank products follow it, adapter by
adapter, or as one batched product where all have equally many rows. Kept for the backward pass: x, which the layers
around keep as well, and A x, rank numbers a row. Gradients of the factors are added in place to the stack's own sums;
W has none, and neither has x where nothing before the layer is trained. The arithmetic is PEFT's: the low-rank
products in the factors' type (float32), added to W x in the network's.

What it does not do: dropout, second derivatives, rows that are no whole lines of the batch (a mixture of experts that
deals tokens out to linear layers is refused).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from springback.errors import RefusedError


class Span(NamedTuple):
    """Neighbouring rows that belong to one adapter, or equally many rows for each of neighbouring adapters."""

    adapters: slice
    rows: slice
    each: int
    """Rows of one adapter."""


@dataclass(slots=True)
class Lines:
    """Whose lines stand in the batch; all layers of a stack share one."""

    anchor: Tensor
    """Makes autograd call the backward pass of layers whose input is not trained."""
    counts: tuple[int, ...] | None = None
    """Lines of each adapter, in their order; None while no adapter is on."""
    time: int = 0
    """Positions of a line."""

    def spans(self, shape: Sequence[int], name: str) -> list[Span]:
        """The spans of an input of this shape; `RefusedError` where its rows cannot be told apart."""
        assert self.counts is not None
        present = [index for index, count in enumerate(self.counts) if count]
        rows = 1
        for size in shape[:-1]:
            rows *= size
        if len(present) == 1:
            return [Span(slice(present[0], present[0] + 1), slice(0, rows), rows)]
        lines = sum(self.counts)
        if tuple(shape[:-1]) not in ((lines, self.time), (lines * self.time,)):
            raise mixed(name, shape, lines, self.time)
        return _merged(self.counts, present, self.time)


@dataclass(slots=True)
class Factors:
    """Of one layer; views into the stack's memory. `down` is LoRA's A, `up` its B."""

    down: Tensor
    """[adapter, rank, in]"""
    up: Tensor
    """[adapter, out, rank]"""
    down_sum: Tensor
    """Sum of gradients, as `down`."""
    up_sum: Tensor
    scale: Tensor = field(repr=False)
    """α / rank of each adapter: [adapter, 1, 1]."""


class StackedLinear(nn.Linear):
    """Stands in the place of a linear layer and shares its weight, under the same name."""

    def __init__(self, linear: nn.Linear, factors: Factors, lines: Lines, name: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.factors, self.lines, self.name = factors, lines, name
        self.training = linear.training

    def forward(self, input: Tensor) -> Tensor:
        """W x, and each adapter's own product on its rows while adapters are on."""
        if self.lines.counts is None:
            return F.linear(input, self.weight, self.bias)
        spans = self.lines.spans(input.shape, self.name)
        flat = input.reshape(-1, self.in_features)
        out: Any = _Product.apply(flat, self.lines.anchor, self.weight, self.bias, self.factors, spans)
        return out.view(*input.shape[:-1], self.out_features)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, _anchor: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors, spans: list[Span]
    ) -> Tensor:
        out, lows = F.linear(x, weight, bias), []
        for span in spans:
            low = torch.bmm(_rows(x, span, factors), factors.down[span.adapters].mT).mul_(factors.scale[span.adapters])
            _add(_block(out, span), low, factors.up[span.adapters].mT)
            lows.append(low)
        ctx.save_for_backward(x, weight, *lows)
        ctx.factors, ctx.spans = factors, spans
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, *lows = ctx.saved_tensors
        factors, (gradient,) = ctx.factors, gradients
        given = gradient @ weight if ctx.needs_input_grad[0] else None
        for span, low in zip(ctx.spans, lows, strict=True):
            adapters, rows = span.adapters, _rows(gradient, span, factors)
            factors.up_sum[adapters].baddbmm_(rows.mT, low)
            back = torch.bmm(rows, factors.up[adapters]).mul_(factors.scale[adapters])
            factors.down_sum[adapters].baddbmm_(back.mT, _rows(x, span, factors))
            if given is not None:
                _add(_block(given, span), back, factors.down[adapters])
        return given, None, None, None, None, None


def _block(tensor: Tensor, span: Span) -> Tensor:
    """The span's rows as [adapter, row, width]; a view."""
    return tensor[span.rows].view(-1, span.each, tensor.shape[-1])


def _rows(tensor: Tensor, span: Span, factors: Factors) -> Tensor:
    """The same in the factors' type."""
    return _block(tensor, span).to(factors.down.dtype)


def _add(block: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right to the block, in place; rounded once where the block's type is another."""
    if block.dtype == left.dtype:
        block.baddbmm_(left, right)
    else:
        block.add_(torch.bmm(left, right))


def _merged(counts: Sequence[int], present: Sequence[int], time: int) -> list[Span]:
    """One span for all where neighbouring adapters have equally many lines, else one for each."""
    neighbours = present == list(range(present[0], present[-1] + 1))
    if neighbours and len({counts[index] for index in present}) == 1:
        each = counts[present[0]] * time
        return [Span(slice(present[0], present[-1] + 1), slice(0, each * len(present)), each)]
    spans, start = [], 0
    for index in present:
        each = counts[index] * time
        spans.append(Span(slice(index, index + 1), slice(start, start + each), each))
        start += each
    return spans


def mixed(name: str, shape: Sequence[int], lines: int, time: int) -> RefusedError:
    """The layer is given rows that are no whole lines of the batch."""
    return RefusedError(
        f"{name} is given {tuple(shape)}, which are not the {lines} lines of {time} positions of the batch: "
        "whose rows these are cannot be told, so several adapters cannot be trained together here.",
        kind="model", where=name, next="Train the adapters one after another.",
    )  # fmt: skip
