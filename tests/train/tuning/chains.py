"""Rows with their other answers, rollouts over them, and a chain of steps: for the tests of ways of tuning."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch

from springback.models.rows import Row
from springback.train.sft import SFT, optimizer, tune
from springback.train.tuning.choose import tuning
from springback.train.tuning.method import Writes
from springback.train.tuning.rollouts import Asked, Rollouts

LONGEST = 5


def paired(count: int) -> list[Row]:
    """Rows of unequal lengths, three prompts round and round, each with another answer."""
    prompts = [(5, 6, 7), (5, 8), (9, 4, 3, 6)]
    found = []
    for index in range(count):
        prompt, more = prompts[index % 3], (30 + index,) * (index % 2)
        other = Row(prompt, (40 + index, 41, *more, 2), 1, 3)
        found.append(Row(prompt, (20 + index, *more, 2), 1, 2, other))
    return found


def rollouts(rows: Sequence[Row], *, wanted: bool = True, longest: int = LONGEST, seed: int = 3, lr: float = 1e-3):
    asked = [Asked(({"role": "user", "content": f"prompt {place}"},), wanted) for place in range(len(rows))]
    return Rollouts(asked=asked, seed=seed, max_new_tokens=longest, temperature=0.9, stop={2},
                    text=lambda ids: " ".join(map(str, ids)), lr=lr)  # fmt: skip


def low_tokens(answers, wanted):
    """Of each answer, the share of tokens below 48; of a row that teaches the opposite, the share of the others."""
    shares = [sum(token < 48 for token in one.answer_ids) / len(one.answer_ids) for one in answers]
    return [share if side else 1 - share for share, side in zip(shares, wanted, strict=True)]


def way(named: str, rows: Sequence[Row], **more):
    """The way of this name, ready to write answers to these rows."""
    found = tuning(named)
    if hasattr(found, "judge"):
        found = replace(found, judge=low_tokens)
    return found.equipped(rollouts(rows, **more)) if isinstance(found, Writes) else found


def tuned(network, loss, rows: Sequence[Row], *, batch: int = 4, lr: float = 1e-3, clip: float = 1.0, each=None):
    """The network's weights after a chain; `each` is called after every step."""
    network.requires_grad_(True)
    options = SFT(lr=lr, batch=batch, clip=clip)
    update = optimizer(network, options)
    for step in tune(network, update, rows, options, loss=loss):
        if each is not None:
            each(step)
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def moved(network):
    """A copy with other weights."""
    found = copy.deepcopy(network)
    with torch.no_grad():
        for index, parameter in enumerate(found.parameters()):
            parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()) + index).view_as(parameter))
    return found
