"""What is read off the logits before an answer token, and the gradient of it, as functions of some rows of logits.

    log π(y) = z_y − n            ∂/∂z = onehot(y) − π            n = log Σ exp z
    c = log Σ_v π(v)²             ∂/∂z = 2 (π² / Σ π² − π)
    KL(π_ref ‖ π)                 ∂/∂z = π − π_ref

In float32 for logits of less, in float64 for logits of float64. All in nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from springback.models.readout import Reading


class Terms(NamedTuple):
    """Numbers of each wanted position in nats, with their graph; float64 where the device has it."""

    logprob: Float[Tensor, " row"]
    """log π of the given token."""
    collision: Float[Tensor, " row"] | None = None
    """log Σ_v π(v)², at most 0; None unless asked for."""
    divergence: Float[Tensor, " row"] | None = None
    """KL(reference ‖ π) over the vocabulary, at least 0; None without a reference."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be read, row by row."""

    targets: Int[Tensor, " row"]
    collision: bool = False
    reference: Reading | None = None
    """Whose distributions the divergence compares with; taken without gradient."""

    def rows(self, where: slice) -> "Asked":
        """The same of some rows."""
        reference = self.reference and replace(self.reference, states=self.reference.states[where])
        return Asked(self.targets[where], self.collision, reference)


class Read(NamedTuple):
    """`Terms` in the dtype they were worked out in, with the normaliser, which their gradient needs."""

    normaliser: Float[Tensor, " row"]
    logprob: Float[Tensor, " row"]
    collision: Float[Tensor, " row"] | None
    divergence: Float[Tensor, " row"] | None

    def terms(self) -> Terms:
        """The terms, exact enough to be summed."""
        columns = (column if column is None else _summable(column) for column in self[1:])
        return Terms(*columns)  # pyright: ignore[reportArgumentType]


def read(logits: Float[Tensor, "row vocab"], asked: Asked) -> Read:
    """The terms of these rows."""
    accurate = working(logits)
    normaliser = accurate.logsumexp(-1)
    logprob = accurate.gather(-1, asked.targets[:, None]).squeeze(-1) - normaliser
    collision = (2 * accurate).logsumexp(-1) - 2 * normaliser if asked.collision else None
    if asked.reference is None:
        return Read(normaliser, logprob, collision, None)
    stated = _stated(asked.reference)
    apart = stated - (accurate - normaliser[:, None])
    return Read(normaliser, logprob, collision, (stated.exp() * apart).sum(-1))


def slope(
    logits: Float[Tensor, "row vocab"], asked: Asked, found: Read, given: Sequence[Float[Tensor, " row"] | None]
) -> Float[Tensor, "row vocab"]:
    """∂/∂z Σ given · terms; written over logits that are of the working dtype already."""
    logprob, collision, divergence = (None if weights is None else weights.to(found.normaliser) for weights in given)
    assert logprob is not None
    policy = working(logits).sub_(found.normaliser[:, None]).exp_()
    share, squares = -logprob, None
    if found.collision is not None and collision is not None:
        share = share - 2 * collision
        squares = policy.square().mul_((2 * collision * (-found.collision).exp())[:, None])
    if divergence is not None:
        share = share + divergence
    made = policy.mul_(share[:, None]).scatter_add_(-1, asked.targets[:, None], logprob[:, None])
    if squares is not None:
        made.add_(squares)
    if asked.reference is not None and divergence is not None:
        made.sub_(_stated(asked.reference).exp_().mul_(divergence[:, None]))
    return made


def joined(parts: Sequence[Read]) -> Read:
    """The rows of several parts, in their order."""
    columns = (None if column[0] is None else torch.cat(column) for column in zip(*parts, strict=True))
    return Read(*columns)  # pyright: ignore[reportArgumentType]


def working(logits: Tensor) -> Tensor:
    """In the dtype in which sums over the vocabulary are taken; the same tensor where it is of it."""
    return logits if logits.dtype == torch.float64 else logits.float()


@torch.no_grad()
def _stated(reference: Reading) -> Tensor:
    """Log π_ref of some rows, over the vocabulary."""
    return working(reference.states if reference.head is None else reference.head(reference.states)).log_softmax(-1)


def _summable(column: Tensor) -> Tensor:
    return column if column.device.type == "mps" else column.double()
