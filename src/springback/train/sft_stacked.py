"""Supervised fine-tuning of several adapters in one forward and backward pass: `train.sft` for a stack.

Each adapter has its own rows and its own options, and ends when its rows end. The loss is that of `train.sft`, for
each adapter by itself; what each does is what `tune` does with it alone, but for rounding.

The head is frozen, so the gradient at the states before it is made together with the loss, some positions at a time:
no logits are kept for the backward pass, and none are made twice.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from springback.fit.loop import Fit, Step, Summed
from springback.fit.memory import LOSS_ROWS
from springback.fit.stacked import Course, fit_stacked
from springback.fit.stacked_adamw import Decay, StackedAdamW
from springback.models.readout import read
from springback.models.rows import Row
from springback.models.stacked_adapters import Stack
from springback.models.stacked_lines import Batch, cheapest
from springback.train.recipe import SFT
from springback.train.sft import batches

__all__ = ["optimizer", "summed_each", "tune_stacked"]


def tune_stacked(
    stack: Stack,
    update: StackedAdamW,
    rows: Sequence[Sequence[Row]],
    options: Sequence[SFT],
    *,
    first_steps: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Iterator[dict[int, Step]]:
    """Tune each adapter on its rows once, in their order; each round yields the `Step` of every adapter that took one.

    `first_steps`: how many steps of each chain lie behind; an adapter without rows is left alone. `names`: what errors
    call the adapters (their numbers). The network is left in evaluation mode. `ValueError` where an adapter's rows are
    no multiple of its batch; `AdapterNonFiniteError` as in `fit_stacked`.
    """
    stack.network.eval()
    behind, called = first_steps or [0] * len(stack), names or [str(index) for index in range(len(stack))]
    courses = [_course(*each) for each in zip(called, rows, options, behind, strict=True)]
    if len(courses) != len(stack):
        raise ValueError(f"{len(stack)} adapters need as many sequences of rows, got {len(courses)}.")
    yield from fit_stacked(lambda groups: summed_each(stack, [group or () for group in groups]), courses, update)


def optimizer(stack: Stack, options: Sequence[SFT]) -> StackedAdamW:
    """AdamW as each adapter's options say, in a fresh state."""
    return StackedAdamW(stack, [Decay(each.betas, each.eps, each.weight_decay) for each in options])


def summed_each(stack: Stack, groups: Sequence[Sequence[Row]], inputs: Batch | None = None) -> list[Summed | None]:
    """For each adapter Σ −log p over its rows' answer tokens in nats, and how many tokens; None where it has no rows.

    `inputs` says how the rows go through the network; without it, the cheaper of the exact ways is taken.
    """
    inputs = inputs or cheapest(stack.network, groups)
    with stack.on(inputs.counts, inputs.time):
        reading = read(stack.network, inputs.arguments, inputs.wanted)
    tokens = [sum(len(row.answer) for row in group) for group in groups]
    answers = [token for group in groups for row in group for token in row.answer]
    targets = torch.tensor(answers, device=reading.states.device)
    losses: Any = _AnswerLoss.apply(reading.states, targets, reading.head or nn.Identity())
    accurate = torch.float32 if losses.device.type == "mps" else torch.float64
    totals = [part.sum(dtype=accurate) for part in losses.split(tokens)]
    return [Summed(total, count, count) if count else None for total, count in zip(totals, tokens, strict=True)]


class _AnswerLoss(torch.autograd.Function):
    """−log p of each target, float32; keeps the gradient at the states instead of logits. The head is frozen."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, targets: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        parts = zip(states.split(LOSS_ROWS), targets.split(LOSS_ROWS), strict=True)
        losses, slopes = zip(*(_with_slope(head, *part, wanted=ctx.needs_input_grad[0]) for part in parts), strict=True)
        ctx.slope = torch.cat(slopes)
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.slope.mul_(gradients[0][:, None]), None, None


def _with_slope(
    head: Callable[[Tensor], Tensor], states: Tensor, targets: Tensor, *, wanted: bool
) -> tuple[Tensor, Tensor]:
    with torch.set_grad_enabled(wanted):
        leaf = states.detach().requires_grad_(wanted)
        losses = F.cross_entropy(head(leaf).float(), targets, reduction="none")
        slope = torch.autograd.grad(losses.sum(), leaf)[0] if wanted else leaf
    return losses.detach(), slope


def _course(name: str, rows: Sequence[Row], options: SFT, behind: int) -> Course:
    config = Fit(lr=options.lr, warmup_steps=options.warmup_steps, accumulate=options.accumulate, clip=options.clip)
    return Course(name, batches(rows, options), config, behind, behind * options.batch)
