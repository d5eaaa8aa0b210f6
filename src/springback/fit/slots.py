"""What AdamW keeps for each trainable tensor: its master in fp32, its moments, the sum of its gradients."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ACCURATE = (torch.float32, torch.float64)
"""Weights of these types are their own masters."""


@dataclass(slots=True)
class Slot:
    """One trainable tensor with what belongs to it; tied weights have one slot."""

    name: str
    weight: nn.Parameter
    master: Tensor
    """fp32; the weight itself where that is fp32 or fp64."""
    steps: Tensor
    """Updates since the moments were fresh; float32 because torch's kernels ask for it."""
    first: Tensor | None = None
    second: Tensor | None = None
    sum: Tensor | None = None
    """fp32 sum of micro-batch gradients, where there are several."""

    @property
    def gradient(self) -> Tensor | None:
        return self.weight.grad if self.sum is None else self.sum


def slots(network: nn.Module, masters: Mapping[str, Tensor] | None) -> list[Slot]:
    """One slot for each trainable parameter, in the network's order.

    `ValueError` where one has no master among those given, or one that is not the network's weight before rounding.
    """
    trainable = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    return [_slot(name, weight, masters, network) for name, weight in trainable]


@torch.no_grad()
def _slot(name: str, weight: nn.Parameter, masters: Mapping[str, Tensor] | None, network: nn.Module) -> Slot:
    if weight.dtype not in (*ACCURATE, torch.bfloat16):
        raise ValueError(f"{name} is {weight.dtype}; tuning knows bfloat16, float32 and float64 weights.")
    weight.data = weight.data.contiguous()
    given = None if masters is None else _given(name, weight, masters, network)
    steps = torch.zeros((), device=weight.device)
    if weight.dtype in ACCURATE:
        return Slot(name, weight, weight, steps)
    master = torch.empty_like(weight, dtype=torch.float32).copy_(weight if given is None else given)
    return Slot(name, weight, master, steps)


def _given(name: str, weight: Tensor, masters: Mapping[str, Tensor], network: nn.Module) -> Tensor:
    """The master handed in under this name or under that of a tied weight, checked against the network."""
    tied = [other for other, tensor in network.named_parameters(remove_duplicate=False) if tensor is weight]
    found = next((masters[other] for other in tied if other in masters), None)
    if found is None:
        raise ValueError(f"No master was given for {name}.")
    if found.shape != weight.shape or not torch.equal(found.to(weight.device, weight.dtype), weight):
        raise ValueError(f"The master given for {name} is not the network's weight before rounding.")
    return found
