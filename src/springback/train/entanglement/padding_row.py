"""The row of an embedding that torch gives no gradient (`padding_idx`), where its token stands in the text.

Autograd leaves it out of a lookup's gradient, so it is left out of inner products. The log-probability depends on it
all the same, and a tied head moves it: what a real step does is the whole derivative.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def whole_derivative(network: nn.Module) -> Iterator[None]:
    """Inside, the padding row has a gradient like any other."""
    kept = {m: m.padding_idx for m in network.modules() if isinstance(m, nn.Embedding)}
    try:
        for module in kept:
            module.padding_idx = None
        yield
    finally:
        for module, row in kept.items():
            module.padding_idx = row


@contextmanager
def as_autograd(network: nn.Module) -> Iterator[None]:
    """Inside, a forward pass with a tangent leaves the padding row out of lookups, as a backward pass does."""

    def without(module: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor:
        return torch.where((args[0] == padding_row(module))[..., None], out.detach(), out)

    handles = [m.register_forward_hook(without) for m in network.modules() if padding_row(m) is not None]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def padding_row(module: nn.Module) -> int | None:
    """Its number, None where there is no such row."""
    return module.padding_idx if isinstance(module, nn.Embedding) else None
