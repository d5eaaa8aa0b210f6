"""Supervised fine-tuning: raise log p(answer, stop token | prompt).

    loss = −(1 / Σ tokens) Σ_rows Σ_t log p(answer_t | prompt, answer_<t)      nats per answer token

Every answer token weighs the same, so long answers weigh more than short ones. The prompt is under no loss; the stop
token is. What it does not guarantee: that the model keeps anything else (measure the KL to the start), or that a lower
loss is a better answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from springback.fit.loop import Fit, Step, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.fit.memory import LOSS_ROWS
from springback.models.packing import Inputs, cheapest
from springback.models.readout import read
from springback.models.rows import Row
from springback.train.recipe import SFT

__all__ = ["SFT", "answer_logprobs", "batches", "loss", "optimizer", "summed", "tune"]

Loss = Callable[[nn.Module, Sequence[Row]], Summed]


def tune(
    network: nn.Module,
    update: MasterAdamW,
    rows: Sequence[Row],
    options: SFT,
    *,
    first_step: int = 0,
    loss: Loss | None = None,
) -> Iterator[Step]:
    """Tune on the rows once, in their order; one `Step` after each update.

    `loss` is that of a micro-batch: plain supervised fine-tuning, or another of `train.tuning`.
    `first_step` steps of the chain lie behind: `tune(rows[:16])` and then `tune(rows[16:], first_step=2)` end, to the
    bit, where `tune(rows)` ends. The network is left in evaluation mode: no dropout (see `SFT`).
    `ValueError` where the number of rows is no multiple of the batch; `NonFiniteError` as in `fit`.
    """
    network.eval()
    config = Fit(lr=options.lr, warmup_steps=options.warmup_steps, accumulate=options.accumulate, clip=options.clip)
    of = loss or summed
    yield from fit(
        lambda batch: of(network, batch), batches(rows, options), update, config,
        first_step=first_step, first_row=first_step * options.batch,
    )  # fmt: skip


def optimizer(network: nn.Module, options: SFT, masters: Mapping[str, Tensor] | None = None) -> MasterAdamW:
    """AdamW as the options say, in a fresh state; `masters` are the weights before rounding."""
    return MasterAdamW(network, masters, betas=options.betas, eps=options.eps, weight_decay=options.weight_decay)


def batches(rows: Sequence[Row], options: SFT) -> Iterator[Sequence[Row]]:
    """Micro-batches in the order of the rows; `ValueError` before the first where a batch would be left incomplete."""
    if len(rows) % options.batch:
        raise ValueError(f"{len(rows)} examples are no multiple of the batch of {options.batch}.")
    size = options.batch // options.accumulate
    return (rows[start : start + size] for start in range(0, len(rows), size))


def loss(network: nn.Module, rows: Sequence[Row]) -> Tensor:
    """Mean −log p of the rows' answer tokens, in nats per token, with its graph."""
    total, weight, _ = summed(network, rows)
    return total / weight


def summed(network: nn.Module, rows: Sequence[Row], inputs: Inputs | None = None) -> Summed:
    """Σ −log p over all answer tokens in nats, float64 where the device has it, and how many tokens that are.

    `inputs` says how the rows go through the network; without it, the cheaper of the exact ways is taken.
    """
    logprobs = answer_logprobs(network, rows, inputs)
    return Summed(-logprobs.sum(), len(logprobs), len(logprobs))


def answer_logprobs(network: nn.Module, rows: Sequence[Row], inputs: Inputs | None = None) -> Float[Tensor, " token"]:
    """Log p of every answer token in nats with its graph, the rows' tokens one after another; see `summed`."""
    inputs = inputs or cheapest(network, rows)
    reading = read(network, inputs.arguments, inputs.wanted)
    targets = torch.tensor([token for row in rows for token in row.answer], device=reading.states.device)
    parts = list(zip(reading.states.split(LOSS_ROWS), targets.split(LOSS_ROWS), strict=True))
    head = reading.head or nn.Identity()
    if len(parts) == 1:
        return _chosen(head, *parts[0])
    again = partial(checkpoint, _chosen, head, use_reentrant=False, preserve_rng_state=False)
    return torch.cat([again(*part) for part in parts])  # one part's logits at a time, made again for the backward pass


def _chosen(head: Callable[[Tensor], Tensor], states: Tensor, targets: Tensor) -> Tensor:
    accurate = torch.float32 if states.device.type == "mps" else torch.float64
    return -F.cross_entropy(head(states).float(), targets, reduction="none").to(accurate)
