"""Adam's diagonal as a metric: with P = 1/(√v̂ + ε), a step without momentum is Δθ = −η P ∇ℓ, and what holds of plain
descent in ⟨x, y⟩ holds of it in ⟨x, P y⟩.

v̂ is that of the last step taken; the step to come adds its own gradient to it first, by a share of 1 − β₂.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from springback.fit.masters import MasterAdamW


class AdamMetric(Mapping[str, Tensor]):
    """P by parameter name, made when it is asked for; no second copy of the moments is kept."""

    def __init__(self, optimizer: MasterAdamW) -> None:
        """`ValueError` before the first step: there is no second moment yet."""
        self._slots = {slot.name: slot for slot in optimizer.slots}
        self._beta, self._eps = optimizer.betas[1], optimizer.eps
        fresh = [name for name, slot in self._slots.items() if slot.second is None]
        if fresh:
            raise ValueError(f"{fresh[0]} has no second moment yet: take a step first")

    def __getitem__(self, name: str) -> Tensor:
        slot = self._slots[name]
        assert slot.second is not None
        unbiased = slot.second / (1 - self._beta ** float(slot.steps))
        return torch.reciprocal(unbiased.sqrt_().add_(self._eps))

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)
