"""A loss value whose gradients were computed elsewhere, so that they pass through the one optimisation loop."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

Gradients = Callable[[], Sequence[Tensor | None]]
"""Called once, by the backward pass; one tensor for each parameter, None for no gradient."""


def with_gradients(value: Float[Tensor, ""], parameters: Sequence[Tensor], gradients: Gradients) -> Float[Tensor, ""]:
    """`value`, whose backward pass gives each parameter its given gradient, times what comes from above.

    Nothing is computed before the backward pass, and nothing is differentiated: a second backward pass is an error.
    `ValueError` where no parameter requires a gradient.
    """
    if not any(parameter.requires_grad for parameter in parameters):
        raise ValueError("no parameter requires a gradient")
    found: Any = _Given.apply(value.detach(), gradients, *parameters)
    return found


class _Given(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Gradients, *parameters: Tensor) -> Tensor:
        ctx.gradients, ctx.shapes = gradients, [parameter.shape for parameter in parameters]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if ctx.gradients is None:
            raise RuntimeError("These gradients were given once; compute the loss again for a second backward pass.")
        found, ctx.gradients = ctx.gradients(), None
        wrong = [i for i, (g, s) in enumerate(zip(found, ctx.shapes, strict=True)) if g is not None and g.shape != s]
        if wrong:
            raise ValueError(f"the given gradient of parameter {wrong[0]} has another shape than the parameter")
        scale = float(grad_outputs[0])
        return None, None, *(g if g is None or scale == 1 else g * scale for g in found)
