"""AdamW (Loshchilov and Hutter, 2019) over a stack of adapters, each with its own moments, step count and options.

The factors of an adapter lie side by side, so a step is one call of torch's own update instead of one for each factor.
The state of an adapter has the names and shapes that `MasterAdamW` gives a network with this adapter alone: a chain
can go on in either.

Memory, in bytes a parameter of each adapter: factors 4, sums of gradients 4, moments 8 (float64 factors: twice that).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from springback.fit.masters import FUSED
from springback.models.stacked_adapters import LINE, Stack


@dataclass(frozen=True, slots=True)
class Decay:
    """AdamW's options of one adapter; the learning rate comes with each step."""

    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.0


class StackedAdamW:
    """One update for each adapter of a stack."""

    def __init__(self, stack: Stack, options: Sequence[Decay]) -> None:
        """`ValueError` where there is not one `Decay` for each adapter."""
        if len(options) != len(stack):
            raise ValueError(f"{len(stack)} adapters need as many options, got {len(options)}.")
        self.stack, self.options = stack, tuple(options)
        self._first, self._second = torch.zeros_like(stack.values), torch.zeros_like(stack.values)
        self._steps = torch.zeros(len(stack), device=stack.values.device)

    @torch.no_grad()
    def norm(self, index: int) -> float:
        """Norm of all gradients of one adapter, in lines of their own type and together in float64."""
        accurate = torch.float32 if self.stack.sums.device.type == "mps" else torch.float64
        lines = torch.linalg.vector_norm(self.stack.sums[index].view(-1, LINE), dim=1)
        return math.sqrt(float(lines.to(accurate).square().sum()))

    def faulty(self, index: int) -> list[str]:
        """Tensors of one adapter whose gradient is not finite."""
        return [name for name, sums in self.stack.factors(index, self.stack.sums).items() if not sums.isfinite().all()]

    @torch.no_grad()
    def step(self, index: int, *, lr: float, scale: float = 1.0) -> None:
        """One AdamW update of one adapter with its gradients times `scale`; the gradients are used up."""
        options, values = self.options[index], self.stack.values
        adamw(
            [values[index]], [self.stack.sums[index].mul_(scale)], [self._first[index]], [self._second[index]], [],
            [self._steps[index].clone()], fused=values.device.type in FUSED, amsgrad=False, maximize=False, lr=lr,
            eps=options.eps, beta1=options.betas[0], beta2=options.betas[1], weight_decay=options.weight_decay,
        )  # fmt: skip
        self._steps[index] += 1

    def discard(self) -> None:
        """Set the gradients of all adapters to 0."""
        self.stack.sums.zero_()

    def free_moments(self, index: int) -> None:
        """Forget moments and step count of one adapter: its next step is one from a fresh state."""
        for tensor in (self._first, self._second, self._steps):
            tensor[index].zero_()

    def state(self, index: int, *, moments: bool = True) -> dict[str, Tensor]:
        """Factors of one adapter, and its moments where it took a step; as `MasterAdamW.state`. Live tensors."""
        state = {f"master/{name}": factor for name, factor in self.stack.factors(index).items()}
        if moments and self._steps[index] > 0:
            for kind, source in (("first", self._first), ("second", self._second)):
                state |= {f"{kind}/{name}": part for name, part in self.stack.factors(index, source).items()}
            state |= {f"steps/{place.name}": self._steps[index].clone() for place in self.stack.places}
        return state

    @torch.no_grad()
    def load(self, index: int, state: Mapping[str, Tensor]) -> None:
        """Take back a `state` of this or of a plain loop, into any adapter of the stack; old gradients are dropped.

        `ValueError` where it belongs to other tensors; then nothing has been changed.
        """
        kinds = {"master": self.stack.values, "first": self._first, "second": self._second}
        self._check(state, kinds)
        self.stack.sums[index].zero_()
        self.free_moments(index)
        for kind, source in kinds.items():
            for name, part in self.stack.factors(index, source).items():
                if f"{kind}/{name}" in state:
                    part.copy_(state[f"{kind}/{name}"])
        counts = [state[key] for key in state if key.startswith("steps/")]
        self._steps[index] = counts[0] if counts else 0

    def _check(self, state: Mapping[str, Tensor], kinds: Mapping[str, Tensor]) -> None:
        names = [place.name for place in self.stack.places]
        bare = {f"master/{name}" for name in names}
        whole = {f"{kind}/{name}" for kind in (*kinds, "steps") for name in names}
        if set(state) not in (bare, whole):
            strange = sorted(set(state) ^ (whole if len(state) > len(bare) else bare))[:3]
            raise ValueError(f"The state is not one of an adapter of this stack: {strange}.")
        for place in self.stack.places:
            if tuple(state[f"master/{place.name}"].shape) != place.shape:
                raise ValueError(f"{place.name} has another shape in the state.")
        if len({float(state[key]) for key in state if key.startswith("steps/")}) > 1:
            raise ValueError("The tensors of the state have taken different numbers of steps; a stack has one for all.")
