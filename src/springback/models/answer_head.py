"""Log-probabilities of given tokens at the wanted positions, with their gradient, in one buffer of logits.

The usual chain keeps logits, a float32 copy, log-softmax and the gradient of each. Here the logits stand once, in the
compute dtype, and the backward pass turns them in place into their own gradient. More than `KEPT` bytes of them are not
kept but made again, part by part. A head that is no plain linear map, or has hooks, is called as it is, part by part
under checkpointing; there alone do gradients have gradients.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from springback.models.answer_terms import Asked, Read, Terms, joined, read, slope
from springback.models.readout import Reading

__all__ = ["KEPT", "Asked", "Terms", "terms"]

KEPT = 256 * 2**20
"""Most bytes of logits that are kept for the backward pass, or made at once, in the compute dtype."""
WORKED = {"cpu": 2**20}
"""Logits that are worked on at once: about what the cache of a CPU's core holds."""
WORKED_ELSEWHERE = 2**24
ROWS = 512
"""Rows that are given at once to a head that is no plain linear map."""


def terms(reading: Reading, asked: Asked) -> Terms:
    """The terms of every wanted position; differentiable as often as the graph is kept."""
    states, head = reading.states, reading.head
    if isinstance(head, nn.Linear) and type(head) is nn.Linear and not _hooked(head):
        return Terms(*_Linear.apply(states, head.weight, head.bias, asked))  # pyright: ignore[reportGeneralTypeIssues]
    return read(states, asked).terms() if head is None else _by_parts(head, states, asked).terms()


class _Linear(torch.autograd.Function):
    """A plain linear head and what is read off its logits."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, asked: Asked) -> Terms:
        parts, found = _parts(states, weight), []
        ctx.save_for_backward(states, weight, bias)
        ctx.asked, ctx.logits = asked, None
        for where in parts:
            logits = F.linear(states[where], weight, bias)
            found += [read(logits[some], asked.rows(_within(where, some))) for some in _worked(logits)]
            ctx.logits = logits if len(parts) == 1 and any(ctx.needs_input_grad) else None
        ctx.found = joined(found)
        return ctx.found.terms()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, weight, bias = ctx.saved_tensors
        kept, ctx.logits = ctx.logits, None  # used up here; where the graph is kept it is made again
        total = _Total(weight, ctx.needs_input_grad)
        for where in _parts(states, weight):
            logits = F.linear(states[where], weight, bias) if kept is None else kept
            for some in _worked(logits):
                _differentiate(logits[some], _within(where, some), ctx.asked, ctx.found, given)
            total.add(logits, states[where])
        return *total.parts(), None


def _differentiate(logits: Tensor, rows: slice, asked: Asked, found: Read, given: Sequence[Tensor | None]) -> None:
    """Put the gradient in the place of the logits."""
    of_rows = Read(*(None if column is None else column[rows] for column in found))  # pyright: ignore[reportArgumentType]
    made = slope(logits, asked.rows(rows), of_rows, [None if each is None else each[rows] for each in given])
    if made.dtype != logits.dtype:
        logits.copy_(made)


class _Total:
    """Gradients of a linear map, summed over parts of its rows, in float32 at least where there are several."""

    def __init__(self, weight: Tensor, needed: Sequence[bool]) -> None:
        self.weight, self.needed = weight, needed
        self.states: list[Tensor] = []
        self.sums: list[Tensor | None] = [None, None]

    def add(self, slopes: Tensor, states: Tensor) -> None:
        if self.needed[0]:
            self.states.append(slopes @ self.weight)
        if self.needed[1]:
            self.sums[0] = _plus(self.sums[0], slopes.T @ states)
        if self.needed[2]:
            self.sums[1] = _plus(self.sums[1], slopes.sum(0))

    def parts(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Of the states, the weight and the bias."""
        weight, bias = (None if total is None else total.to(self.weight.dtype) for total in self.sums)
        return torch.cat(self.states) if self.states else None, weight, bias


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    if total is None:
        return part
    return total.to(torch.promote_types(total.dtype, torch.float32)).add_(part)


def _by_parts(head: Callable[[Tensor], Tensor], states: Tensor, asked: Asked) -> Read:
    """By torch's own gradients, whatever the head does."""

    def of(part: Tensor, some: Asked) -> Read:
        return read(head(part), some)

    parts = _slices(len(states), ROWS)
    if len(parts) == 1:
        return of(states, asked)
    again = partial(checkpoint, of, use_reentrant=False, preserve_rng_state=False)
    return joined([Read(*again(states[where], asked.rows(where))) for where in parts])  # pyright: ignore[reportGeneralTypeIssues]


def _parts(states: Tensor, weight: Tensor) -> list[slice]:
    """Rows whose logits are made at once."""
    return _slices(len(states), KEPT // (states.element_size() * weight.shape[0]))


def _worked(logits: Tensor) -> list[slice]:
    """Rows that are worked on at once."""
    return _slices(len(logits), WORKED.get(logits.device.type, WORKED_ELSEWHERE) // logits.shape[1])


def _slices(rows: int, most: int) -> list[slice]:
    most = max(1, most)
    return [slice(start, min(rows, start + most)) for start in range(0, max(1, rows), most)]


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _hooked(head: nn.Module) -> bool:
    return bool(head._forward_hooks or head._forward_pre_hooks or head._backward_hooks or head._backward_pre_hooks)
