"""The driver: one padded batch of stretches through the network, the signal of each summed log-probability back.

Where the network's last matrix product may be taken apart from the rest, it is done group by group on the predicting
positions, its signal e_y − p written over the logits: one group's logits exist at a time, unless `take` keeps them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from springback.models.readout import backbone, head, route
from springback.train.entanglement.factors import Dense
from springback.train.entanglement.kinds import Linear
from springback.train.entanglement.lines import Lines
from springback.train.entanglement.stretches import Stretch, accurate, padded
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.uses import Flat, Outer, Use

Group = Sequence[int]


@dataclass(frozen=True, slots=True)
class Head:
    """The last linear map, where the network may be cut before it."""

    path: str
    kind: Linear


def run(network: nn.Module, tape: Tape, last: Head | None, groups: Sequence[Group]) -> Float64[Tensor, " line"]:
    """Log π of every stretch in nats; `tape.take` has had every use when it returns. Groups partition the lines."""
    inputs = padded(network, tape.lines.stretches)
    with tape.listening(network, without=[last.path] if last else []):
        if last is None:
            logits = _logits(network, inputs.arguments, inputs.wanted)
            found = torch.stack([_logprob(one, s) for one, s in zip(logits, tape.lines.stretches, strict=True)])
            if found.requires_grad:
                found.sum().backward()
            return found.detach().cpu()
        hidden = backbone(network)(**inputs.arguments).last_hidden_state
        if last.path in tape.owners.of:
            tape.count(last.path)
        found, start = _by_head(network, tape, last, hidden.detach(), groups)
        if hidden.requires_grad:
            hidden.backward(start)
    return found


def lines_of(network: nn.Module, stretches: Sequence[Stretch]) -> Lines:
    """As `run` will lay them out."""
    return Lines(stretches, padded(network, stretches).arguments["input_ids"])


def _by_head(
    network: nn.Module, tape: Tape, last: Head, hidden: Tensor, groups: Sequence[Group]
) -> tuple[Float64[Tensor, " line"], Tensor]:
    """Log-probabilities, and the signal to the hidden states; uses of the head's parameters go to the tape."""
    found, start = torch.zeros(len(hidden), dtype=torch.float64), torch.zeros_like(hidden)
    layer = head(network)
    weight = layer.get_parameter(last.kind.matrix)
    for group in groups:
        stretches = [tape.lines.stretches[line] for line in group]
        sizes = [len(stretch) for stretch in stretches]
        states = [hidden[line, _span(stretch)] for line, stretch in zip(group, stretches, strict=True)]
        with torch.no_grad():
            logprobs, signal = _signal(layer(torch.cat(states)), [t for s in stretches for t in s.targets])
            back = (signal.to(weight.dtype) @ (weight.T if last.kind.transposed else weight)).split(sizes)
        for line, stretch, values, signals in zip(group, stretches, logprobs.split(sizes), back, strict=True):
            found[line] = values.double().sum()
            start[line, _span(stretch)] = signals
        if last.path in tape.owners.of:
            tape.used(last.path, _head_uses(last.kind, group, states, signal.split(sizes)))
    return found, start


def _signal(logits: Tensor, targets: list[int]) -> tuple[Tensor, Tensor]:
    """Log p of the targets, and its derivative by the logits, e_y − p, in their place."""
    values = accurate(logits)
    chosen = torch.tensor(targets, device=values.device)[:, None]
    values -= values.amax(dim=-1, keepdim=True)
    picked = values.gather(-1, chosen).squeeze(-1)
    total = values.exp_().sum(dim=-1, keepdim=True)
    values /= -total
    return picked - total.squeeze(-1).log(), values.scatter_add_(-1, chosen, torch.ones_like(values[:, :1]))


def _head_uses(
    kind: Linear, group: Group, states: Sequence[Tensor], signals: Sequence[Tensor]
) -> Iterator[tuple[str, Use]]:
    given = {line: Dense(values) for line, values in zip(group, states, strict=True)}
    signal = {line: Dense(values) for line, values in zip(group, signals, strict=True)}
    yield kind.matrix, Outer(given, signal) if kind.transposed else Outer(signal, given)
    if kind.vector is not None:
        sums = {line: values.sum(dim=0) for line, values in zip(group, signals, strict=True)}
        whole = torch.zeros(max(group) + 1, signals[0].shape[1], dtype=signals[0].dtype, device=signals[0].device)
        for line, total in sums.items():
            whole[line] = total
        yield kind.vector, Flat(whole, set(group))


def _logits(network: nn.Module, arguments: dict[str, Tensor], wanted: Tensor) -> list[Tensor]:
    """Logits of the predicting positions of each line, by the network's own forward."""
    if route(network) == "whole":
        logits, columns = network(**arguments).logits, torch.arange(wanted.shape[1])
    else:
        columns = wanted.any(dim=0).nonzero().squeeze(-1)
        logits = network(**arguments, logits_to_keep=columns.to(wanted.device)).logits
    return [line[mask[columns].to(line.device)] for line, mask in zip(logits, wanted, strict=True)]


def _logprob(logits: Tensor, stretch: Stretch) -> Tensor:
    targets = torch.tensor(stretch.targets, device=logits.device)[:, None]
    return accurate(logits).log_softmax(dim=-1).gather(-1, targets).sum(dtype=torch.float64)


def _span(stretch: Stretch) -> slice:
    return slice(stretch.positions.start, stretch.positions.stop)
