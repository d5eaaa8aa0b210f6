"""What a way of tuning is: made ready on the weights that it begins from, then a loss of one batch at a time."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import nn

from springback.fit.loop import Summed
from springback.models.rows import Row
from springback.train.tuning.rollouts import Rollouts

TuningLoss = Callable[[nn.Module, Sequence[Row]], Summed]
"""The network as it stands and one batch → the summed loss in nats, with its graph. Called once a step."""


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


@runtime_checkable
class Writes(Protocol):
    """A way of tuning that can be told how answers are drawn; `writes` says whether it must be."""

    def equipped(self, rollouts: Rollouts) -> Tuning:
        """The same way, for the chain whose rollouts these are."""
        ...


def wants_pairs(tuning: Tuning) -> bool:
    """Whether it needs each row with the other answer to its prompt (`Row.other`)."""
    return bool(getattr(tuning, "paired", False))


def writes(tuning: Tuning) -> bool:
    """Whether it writes answers in every step."""
    return bool(getattr(tuning, "writes", False))


def data_answers(tuning: Tuning) -> bool:
    """Whether it trains on the rows' answers; else on answers of its own to their prompts."""
    return bool(getattr(tuning, "data_answers", True))


def answers(tuning: Tuning) -> int:
    """Answers that go through the network for each row."""
    return int(getattr(tuning, "answers", 1))


def copies(tuning: Tuning) -> bool:
    """Whether a frozen copy of the network stays in memory while a chain is tuned."""
    return bool(getattr(tuning, "copies", False))


def written(loss: TuningLoss) -> dict[str, Any] | None:
    """What the chain of this loss has written so far; None where it writes nothing that is counted."""
    tally = getattr(loss, "tally", None)
    return None if tally is None else tally.json()


def whole_batch(tuning: Tuning) -> str:
    """Why a batch must not be split over processes; empty where it may, as with a user's way.

    Where it may, a row's loss is its own: the sum over two halves of a batch is the batch's.
    """
    return str(getattr(tuning, "whole_batch", ""))
