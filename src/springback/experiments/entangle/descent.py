"""A real optimiser step, taken through the one loop, and the weights put back exactly.

Plain gradient descent stands here because only under it do Euclidean inner products say what a step does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from springback.experiments.entangle.config import Entangle
from springback.fit.loop import Fit, Optimizer, Step, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.train.entanglement.preconditioner import Moments


class Descent:
    """θ ← θ − lr (scale · gradient + decay · θ): an `Optimizer` for float32 and float64 weights, without state."""

    def __init__(self, network: nn.Module, *, weight_decay: float = 0.0) -> None:
        self.weights = moving(network)
        self.weight_decay = weight_decay

    def fold(self) -> None:
        """Gradients of float32 weights add up by themselves."""

    def norm(self) -> float:
        """Norm of all gradients together."""
        squares = [_square(weight.grad) for weight in self.weights.values() if weight.grad is not None]
        return sum(squares) ** 0.5

    def faulty(self) -> list[str]:
        """Names of the tensors whose gradient is not finite."""
        found = self.weights.items()
        return [name for name, weight in found if weight.grad is not None and not bool(weight.grad.isfinite().all())]

    @torch.no_grad()
    def step(self, *, lr: float, scale: float) -> None:
        for weight in self.weights.values():
            if weight.grad is not None:
                weight.mul_(1 - lr * self.weight_decay).add_(weight.grad, alpha=-lr * scale)

    def discard(self) -> None:
        for weight in self.weights.values():
            weight.grad = None


def moving(network: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that a step moves, by name; a tied one once."""
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


def optimizer(network: nn.Module, config: Entangle, moments: Moments | None = None) -> Optimizer:
    """In a fresh state; AdamW with second moments goes on from them, without momentum."""
    if config.optimizer == "sgd":
        return Descent(network, weight_decay=config.weight_decay)
    if moments is None:
        return MasterAdamW(network, weight_decay=config.weight_decay)
    begun = MasterAdamW(network, betas=(0.0, moments.beta), eps=moments.eps, weight_decay=config.weight_decay)
    for slot in begun.slots:
        if slot.name in moments.second:
            slot.first, slot.second = torch.zeros_like(slot.master), moments.second[slot.name].to(slot.master).clone()
            slot.steps.fill_(moments.steps[slot.name])
    return begun


def step(
    network: nn.Module, loss: Callable[[Any], Summed], parts: Sequence[Sequence[Any]], config: Entangle, rate: float,
    moments: Moments | None = None,
) -> Step:  # fmt: skip
    """One step on a batch that goes through the network in these parts; `moments` as in `optimizer`."""
    steps = Fit(lr=rate, accumulate=len(parts), clip=config.clip or inf)
    (done,) = fit(loss, parts, optimizer(network, config, moments), steps)
    return done


@contextmanager
def put_back(network: nn.Module) -> Iterator[Mapping[str, Tensor]]:
    """The weights as they are now, while they may be moved; put back bit for bit, on exceptions too."""
    before = {name: weight.detach().clone() for name, weight in moving(network).items()}
    try:
        yield before
    finally:
        with torch.no_grad():
            for name, weight in moving(network).items():
                weight.copy_(before[name])


def moved(network: nn.Module, before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Δθ since `before`, by name."""
    return {name: weight.detach() - before[name] for name, weight in moving(network).items()}


def length(delta: Mapping[str, Tensor]) -> float:
    """‖Δθ‖."""
    return sum(map(_square, delta.values())) ** 0.5


def _square(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64).square())
