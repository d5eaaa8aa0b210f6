"""Fine-tuning of many adapters in the groups that a calibration on their own rows found to pay."""

import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import torch
from torch import Tensor

from springback.fit.loop import Step
from springback.fit.stacked_adamw import StackedAdamW
from springback.fit.stacking_plan import Plan, plan
from springback.models.rows import Row
from springback.models.stacked_adapters import Stack
from springback.train.recipe import SFT
from springback.train.sft_stacked import summed_each, tune_stacked

PEAK = 1.5
"""Peak of a pass over what it keeps for its backward pass: one layer's intermediates and the logits of a part."""
SHARE = 0.7
"""Share of the free memory that passes may take."""


def calibrated(stack: Stack, rows: Sequence[Sequence[Row]], options: Sequence[SFT], *, free: int | None = None) -> Plan:
    """Time first micro-batches together and one by one, and decide. No weight moves; gradients are set to 0.

    `free`: bytes that passes may take (default: a share of what is free now). An adapter without rows is an error.
    """
    firsts = [row[: each.batch // each.accumulate] for row, each in zip(rows, options, strict=True)]
    if not all(firsts):
        raise ValueError("Every adapter needs a row to calibrate on.")
    stack.network.eval()
    one = _kept(lambda: _total(stack, firsts, 1))
    try:
        return plan(
            len(stack), lambda width: _seconds(stack, firsts, width), bytes_each=int(PEAK * one),
            free=int(SHARE * _free(stack.values.device)) if free is None else free,
        )  # fmt: skip
    finally:
        stack.sums.zero_()


def tune_in_groups(
    stack: Stack, update: StackedAdamW, rows: Sequence[Sequence[Row]], options: Sequence[SFT], groups: Sequence[range]
) -> Iterator[dict[int, Step]]:
    """`tune_stacked` group by group: every adapter once, those of a group together."""
    if [index for group in groups for index in group] != list(range(len(stack))):
        raise ValueError(f"The groups must name each of the {len(stack)} adapters once, in order: got {groups}.")
    for group in groups:
        chosen = [each if index in group else () for index, each in enumerate(rows)]
        yield from tune_stacked(stack, update, chosen, options)


def _total(stack: Stack, firsts: Sequence[Sequence[Row]], width: int) -> Tensor:
    sums = summed_each(stack, [first if index < width else () for index, first in enumerate(firsts)])
    return torch.stack([each.total for each in sums if each is not None]).sum()


def _seconds(stack: Stack, firsts: Sequence[Sequence[Row]], width: int) -> float:
    began = time.perf_counter()
    _total(stack, firsts, width).backward()
    float(stack.sums[0, 0])  # a device is waited for
    return time.perf_counter() - began


def _kept(run: Callable[[], Tensor]) -> int:
    """Bytes that a forward pass keeps for its backward pass, weights left out, each memory counted once."""
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run().backward()
    return sum(found.values())


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
