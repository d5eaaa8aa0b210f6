"""One call of a module: what it was given and what it gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

CLOSE = {torch.bfloat16: 0.05, torch.float16: 0.02, torch.float32: 1e-3, torch.float64: 1e-6}
"""Largest difference of two outputs that count as the same, relative to the largest value. Float64 networks are known
to compute their norms in float32."""


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments are kept, not copied."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any

    @property
    def own(self) -> dict[str, nn.Parameter]:
        """The module's parameters but not those of modules inside it."""
        return dict(self.module.named_parameters(recurse=False, remove_duplicate=False))

    @property
    def read(self) -> Tensor | None:
        """The first argument where it is a tensor of numbers (no token ids, no mask)."""
        first = self.args[0] if self.args else next(iter(self.kwargs.values()), None)
        return first if isinstance(first, Tensor) and first.is_floating_point() else None

    def again(self, parameters: Mapping[str, Tensor]) -> Any:
        """What the module would have given with these parameters in the place of its own."""
        with torch.no_grad():
            return functional_call(self.module, dict(parameters), self.args, dict(self.kwargs))

    def random(self) -> dict[str, Tensor]:
        """Random values for the module's own parameters: two different modules do not agree on them by chance."""
        draw = torch.Generator().manual_seed(0)
        return {name: torch.rand(p.shape, generator=draw).sub_(0.5).to(p) for name, p in self.own.items()}


def same(one: Any, other: Any) -> bool:
    """Equal shapes and, but for rounding, values."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return False
    largest = float(other.abs().max()) if other.numel() else 0.0
    return bool((one - other).abs().max() <= CLOSE[one.dtype] * largest) if other.numel() else True
