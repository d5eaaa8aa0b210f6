"""What is differentiated: the log-probabilities of an answer's tokens from some token on, summed.

A pair whose answers begin alike is three such stretches: the chosen answer behind the common prefix, the rejected one,
and the prefix. Gradients add, so whole answers follow from the three by sums, without a difference that would cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models.packing import Inputs
from springback.models.prefix import positioned
from springback.models.readout import context
from springback.models.rows import Row, RowPair, pad_right


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens `row.answer[first:]`; their summed log-probability's gradient is what is multiplied."""

    row: Row
    first: int = 0

    def __len__(self) -> int:
        """Tokens that are counted."""
        return len(self.row.answer) - self.first

    @property
    def inputs(self) -> tuple[int, ...]:
        """What the network reads: the last answer token predicts nothing and is left out."""
        return self.row.prompt + self.row.answer[:-1]

    @property
    def targets(self) -> tuple[int, ...]:
        return self.row.answer[self.first :]

    @property
    def positions(self) -> range:
        """Of the inputs that predict the targets."""
        start = len(self.row.prompt) - 1 + self.first
        return range(start, start + len(self))


@dataclass(frozen=True, slots=True)
class Triple:
    """A pair as chosen rest, rejected rest, common prefix; None where a stretch has no token."""

    chosen: Stretch | None
    rejected: Stretch | None
    prefix: Stretch | None
    prefix_tokens: int

    @property
    def stretches(self) -> list[Stretch]:
        """Those that have tokens, in this order."""
        return [stretch for stretch in (self.chosen, self.rejected, self.prefix) if stretch is not None]


def triple(pair: RowPair) -> Triple:
    """The pair cut behind what both answers begin with, which may be nothing or a whole answer."""
    alike = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(pair.chosen.answer, pair.rejected.answer)))  # noqa: B905  the shorter ends it
    beginning = Row(pair.chosen.prompt, pair.chosen.answer[:alike], 0, 0)
    return Triple(_some(pair.chosen, alike), _some(pair.rejected, alike), _some(beginning, 0), alike)


def padded(network: nn.Module, stretches: Sequence[Stretch]) -> Inputs:
    """One stretch below the other, filled up on the right; positions are told, so that none is shared among rows."""
    rectangle = pad_right([stretch.inputs for stretch in stretches])
    wanted = torch.zeros_like(rectangle.real)
    for line, stretch in enumerate(stretches):
        wanted[line, stretch.positions.start : stretch.positions.stop] = True
    device = next(network.parameters()).device
    arguments = {"input_ids": rectangle.ids, "attention_mask": rectangle.real.long()}
    if positioned(network):
        arguments["position_ids"] = torch.where(rectangle.real, torch.arange(rectangle.ids.shape[1]), 0)
    return Inputs({name: value.to(device) for name, value in arguments.items()} | {"use_cache": False}, wanted)


def accurate(logits: Tensor) -> Tensor:
    """float32, or float64 where the network computes in it."""
    return logits if logits.dtype == torch.float64 else logits.float()


def refuse_unreadable(network: nn.Module, pairs: Sequence[tuple[Row, Row]]) -> None:
    """Refuse a network that drops out or recomputes, and rows that it cannot read. An empty answer is allowed."""
    if network.training:
        raise RefusedError(
            "Gradients of single answers are taken without dropout and without recomputation.",
            kind="model", next="Call network.eval() first.",
        )  # fmt: skip
    most = context(network)
    for index, pair in enumerate(pairs):
        longest = max(map(len, pair))
        if not pair[0].prompt or (most is not None and longest - 1 > most):
            raise RefusedError(
                f"Pair {index} has {len(pair[0].prompt)} prompt tokens and {longest} with its longer answer; "
                f"the model reads {most}, and needs a prompt.",
                kind="data", where=f"pair {index}", next="Give it a prompt, shorten it or leave it out.",
            )  # fmt: skip


def _some(row: Row, first: int) -> Stretch | None:
    return Stretch(row, first) if len(row.answer) > first else None
