"""Adam's diagonal as a metric: with P = 1/(√v̂ + ε), a step without momentum is Δθ = −η P ∇ℓ, and what holds of plain
descent in ⟨x, y⟩ holds of it in ⟨x, P y⟩.

`AdamMetric` is that of the last step taken. The step to come adds its own gradient first, by a share of 1 − β₂, and
`NextAdamMetric` is that one: with it the step's first-order change is ⟨g_i, P(−∇ℓ)⟩ without a remainder but momentum,
decay and clipping. From fresh moments it is 1/(|∇ℓ| + ε), and the step is the sign of the gradient.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from springback.fit.masters import MasterAdamW

BETA = 0.95
"""β₂ of the one loop's AdamW."""
EPS = 1e-8
"""ε of the same."""


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
        return _inverse(slot.second / (1 - self._beta ** float(slot.steps)), self._eps)

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)


@dataclass(frozen=True, slots=True)
class Moments:
    """Adam's second moments by parameter name, before bias correction, and the steps in each; none is a fresh state."""

    second: Mapping[str, Tensor] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    beta: float = BETA
    eps: float = EPS


class NextAdamMetric(Mapping[str, Tensor]):
    """P of the step to come, made when it is asked for: `gradient` is that of its loss, by name."""

    def __init__(self, moments: Moments, gradient: Mapping[str, Tensor]) -> None:
        self._moments, self._gradient = moments, gradient

    def __getitem__(self, name: str) -> Tensor:
        of, gradient = self._moments, self._gradient[name]
        before = of.second[name].to(gradient) if name in of.second else torch.zeros_like(gradient)
        second = before.mul(of.beta).addcmul_(gradient, gradient, value=1 - of.beta)
        return _inverse(second.div_(1 - of.beta ** (of.steps.get(name, 0) + 1)), of.eps)

    def __iter__(self) -> Iterator[str]:
        return iter(self._gradient)

    def __len__(self) -> int:
        return len(self._gradient)


def estimated(gradients: Iterable[Mapping[str, Tensor]]) -> Moments:
    """What Adam's second moments are after steps with these gradients; weights stand still between them."""
    second: dict[str, Tensor] = {}
    steps: dict[str, float] = {}
    for each in gradients:
        for name, gradient in each.items():
            before = second.setdefault(name, torch.zeros_like(gradient))
            before.mul_(BETA).addcmul_(gradient, gradient, value=1 - BETA)
            steps[name] = steps.get(name, 0.0) + 1.0
    return Moments(second, steps)


def under(metric: Mapping[str, Tensor] | None, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """P x by parameter name; without a metric x itself."""
    return tensors if metric is None else {name: each * metric[name] for name, each in tensors.items()}


def _inverse(unbiased: Tensor, eps: float) -> Tensor:
    return torch.reciprocal(unbiased.sqrt_().add_(eps))
