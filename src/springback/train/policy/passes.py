"""Log π of written answers at the temperature they were drawn at, with its graph; and V of their states.

Answers to one prompt go behind one copy of it (`models/groups.py`). Logits are divided by the temperature here as they
were while sampling; a ratio of a tempered and an untempered probability would be no ratio of anything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from springback.models.answer_head import Asked, terms
from springback.models.groups import grouped
from springback.models.packing import Inputs
from springback.models.readout import Reading, backbone, read, route
from springback.models.rows import Row
from springback.train.policy.value_head import ValueHead
from springback.train.policy.written import PerToken


class Pass(NamedTuple):
    """One forward pass over written answers."""

    logprobs: PerToken
    """Nats; float64 where the device has it; 0 behind an answer's end."""
    values: PerToken | None
    """Without a value head None."""


def forward(
    network: nn.Module, rows: Sequence[Row], *, width: int, temperature: float = 1.0, head: ValueHead | None = None
) -> Pass:
    """One pass over the rows, in their order; rows of one prompt share it where they stand together."""
    inputs = grouped(network, [list(group) for _, group in groupby(rows, key=lambda row: row.prompt)])
    reading = read(network, inputs.arguments, inputs.wanted)
    states = _states(network, inputs, reading) if head is not None else None
    targets = torch.tensor([token for row in rows for token in row.answer], device=reading.states.device)
    logprobs = terms(_tempered(reading, temperature), Asked(targets)).logprob
    lengths = [len(row.answer) for row in rows]
    values = None if head is None or states is None else head(states).to(logprobs)
    return Pass(_table(logprobs, lengths, width), None if values is None else _table(values, lengths, width))


@torch.no_grad()
def forward_quietly(
    network: nn.Module,
    rows: Sequence[Row],
    *,
    at_once: int,
    width: int,
    temperature: float = 1.0,
    head: ValueHead | None = None,
) -> Pass:
    """The same without a graph, `at_once` rows at a time."""
    found = [forward(network, part, width=width, temperature=temperature, head=head) for part in _parts(rows, at_once)]
    logprobs, values = zip(*found, strict=True)
    return Pass(torch.cat(logprobs), None if head is None else torch.cat(values))


def _parts(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _tempered(reading: Reading, temperature: float) -> Reading:
    """The reading with its logits divided by the temperature; a plain linear head stays one: its input is divided."""
    head = reading.head
    if temperature == 1:
        return reading
    if head is None or (isinstance(head, nn.Linear) and head.bias is None):
        return replace(reading, states=reading.states / temperature)
    return replace(reading, head=_Divided(head, temperature))


class _Divided(nn.Module):
    def __init__(self, head: Callable[[Tensor], Tensor], temperature: float) -> None:
        super().__init__()
        self.head, self.temperature = head, temperature

    def forward(self, states: Tensor) -> Tensor:
        return self.head(states) / self.temperature


def _states(network: nn.Module, inputs: Inputs, reading: Reading) -> Tensor:
    """Last hidden states of the wanted positions; a network whose head may not be called apart is run once more."""
    if route(network) == "head":
        return reading.states
    hidden = backbone(network)(**inputs.arguments).last_hidden_state
    return hidden[inputs.wanted.to(hidden.device)]


def _table(by_token: Tensor, lengths: list[int], width: int) -> PerToken:
    table = pad_sequence(list(by_token.split(lengths)), batch_first=True)
    return nn.functional.pad(table, (0, width - table.shape[1]))
