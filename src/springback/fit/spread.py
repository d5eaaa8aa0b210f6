"""Data parallelism: the rows of a batch are split over processes, their gradients summed before the update.

    process r of W takes rows r, r + W, r + 2W, … of a batch;    gradient = Σ_r Σ_own rows ∇ / Σ_r weight_r

Sums and weights (tokens) are added over the processes, not means, so unequal shares change nothing but rounding: the
update is the one of a single process up to the order of summation. Gradients are summed in fp32 (a bf16 one is widened
first: 4 bytes a parameter more), tensor by tensor in the network's order, after the backward pass. Every process then
makes the same update on the same masters; `same` says so, by their bits.

What it does not do: hide the summing behind the backward pass, or save memory (each process holds everything).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from springback.fit.checks import fingerprint
from springback.fit.loop import Summed
from springback.fit.masters import MasterAdamW
from springback.fit.slots import Slot
from springback.parallel.group import Group


@runtime_checkable
class Rows(Protocol):
    """A micro-batch that can be cut: a list of rows is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


def share(loss: Callable[[Any, Any], Summed], group: Group) -> Callable[[Any, Any], Summed]:
    """The loss of this process's rows; its value, weight and tokens are those of the whole batch.

    `ValueError` where a batch has fewer rows than there are processes.
    """

    def of(network: Any, batch: Rows) -> Summed:
        own = batch[group.world.rank :: group.world.size]
        if len(batch) < group.world.size:
            raise ValueError(f"A batch of {len(batch)} rows cannot be split over {group.world.size} processes.")
        part = loss(network, own)
        total, weight, tokens = group.sums([part.total.item(), part.weight, part.tokens])
        return Summed(part.total + (total - part.total.detach()), weight, int(tokens))

    return of


def spread(optimizer: MasterAdamW, group: Group) -> None:
    """From now on this optimiser steps by the gradients of all processes. Once a step, `norm` adds them up."""
    optimizer.gather = lambda slots: _add_up(slots, group)


@torch.no_grad()
def _add_up(slots: Sequence[Slot], group: Group) -> None:
    have = group.sums([float(slot.gradient is not None) for slot in slots])
    for slot, processes in zip(slots, have, strict=True):
        if processes:
            group.add_(_wide(slot))


def _wide(slot: Slot) -> torch.Tensor:
    """The gradient of this process in the master's type, contiguous; zeros where its own rows gave none."""
    gradient = torch.zeros_like(slot.master) if slot.gradient is None else slot.gradient
    wide = gradient.to(slot.master.dtype).contiguous()
    if slot.master is slot.weight:
        slot.weight.grad = wide
    else:
        slot.sum, slot.weight.grad = wide, None
    return wide


def same(optimizer: MasterAdamW, group: Group) -> None:
    """`RuntimeError` where the processes do not hold the same weights, bit for bit."""
    if apart := group.differ([fingerprint(slot.master) for slot in optimizer.slots]):
        names = ", ".join(optimizer.slots[index].name for index in apart[:3])
        raise RuntimeError(f"The processes hold different weights in {len(apart)} tensors ({names}, …).")
