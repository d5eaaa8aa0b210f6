"""What a way of tuning is: made ready on the weights that it begins from, then a loss of one batch at a time."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from springback.fit.loop import Summed
from springback.models.rows import Row

TuningLoss = Callable[[nn.Module, Sequence[Row]], Summed]
"""The network as it stands and one micro-batch → the summed loss in nats, with its graph."""


def wants_pairs(tuning: "Tuning") -> bool:
    """Whether it needs each row with the other answer to its prompt (`Row.other`)."""
    return bool(getattr(tuning, "paired", False))


@runtime_checkable
class Tuning(Protocol):
    """A way of tuning."""

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        """The loss of a chain.

        `network` holds the weights that the chain begins from (the aligned model, where a reversal is defended) and
        must not be changed; `rows` are all that the chain will train on, in order; `before` is what those weights were
        tuned on, in order, empty for a start. An interrupted chain begins anew from the same weights, so what is
        computed here is computed again.
        """
        ...
