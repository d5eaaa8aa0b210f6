"""What is read from the network: log-probabilities, the direction of a step, and what a step does to answers.

A batch goes through the network `AT_ONCE` pairs at a time. The loss's pull is taken on the numbers of the whole batch
first, so that cutting the batch changes nothing but rounding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from springback.experiments.entangle.descent import moving
from springback.experiments.entangle.pulls import Loss, taken
from springback.fit.loop import Summed
from springback.models.rows import Row, RowPair
from springback.train.entanglement import Weights
from springback.train.entanglement.directional import directional
from springback.train.pair_logprobs import labelled_logprobs, pair_logprobs
from springback.train.preference.method import Need
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs

AT_ONCE = 2
"""Pairs in the network at one time: memory, not results."""
T = TypeVar("T")
Placed = tuple[int, RowPair]
"""A pair with its place in the batch."""


@torch.no_grad()
def logprobs(network: nn.Module, rows: Sequence[RowPair], *, collision: bool = False) -> PairLogprobs:
    """Log π of both answers of each pair in nats, float64 on the CPU; lengths, and on request Σ π², with them."""
    found = [pair_logprobs(network, part, _needs(collision=collision)) for part in parts(rows)]
    return PairLogprobs(
        _joined([one.chosen for one in found]), _joined([one.rejected for one in found]),
        tokens=Both(_joined([one.lengths.chosen for one in found]), _joined([one.lengths.rejected for one in found])),
        collision=_collision(found) if collision else None,
    )  # fmt: skip


def both(rows: Sequence[RowPair]) -> list[Row]:
    """Chosen and rejected in turn."""
    return [row for pair in rows for row in (pair.chosen, pair.rejected)]


def direction(network: nn.Module, rows: Sequence[RowPair], weights: Weights) -> dict[str, Tensor]:
    """−∇ of the batch's mean loss, by parameter: Σ (d_w g_w − d_l g_l) / N, where plain descent goes."""
    up, down = weights.chosen / len(rows), weights.rejected / len(rows)
    total: dict[str, Tensor] = {}
    for part in parts(list(enumerate(rows))):
        at = torch.tensor([place for place, _ in part])
        found = pair_logprobs(network, [pair for _, pair in part])
        wanted = (found.chosen * up[at].to(found.chosen)).sum() - (found.rejected * down[at].to(found.rejected)).sum()
        gradients = torch.autograd.grad(wanted, list(moving(network).values()), allow_unused=True)
        for name, gradient in zip(moving(network), gradients, strict=True):
            if gradient is not None:
                total[name] = total[name].add_(gradient) if name in total else gradient
    return total


def along(network: nn.Module, rows: Sequence[Row], delta: Mapping[str, Tensor]) -> list[float]:
    """⟨g, Δθ⟩ of each row: the predicted change of its log-probability, nats."""
    return directional(network, rows, delta).tolist() if rows else []


@torch.no_grad()
def alone(network: nn.Module, rows: Sequence[Row]) -> list[float]:
    """Log π of each row by itself in nats: the same numbers in other shapes, so by another rounding."""
    wanted = torch.tensor([True])
    return [float(labelled_logprobs(network, [row], wanted).logprob[0]) for row in rows]


def real_loss(
    network: nn.Module, loss: Loss, reference: PairLogprobs, *, collision: bool
) -> Callable[[Sequence[Placed]], Summed]:
    """The loss itself with its graph, as the one loop takes it: no pull, no inner product in it."""

    def of(part: Sequence[Placed]) -> Summed:
        policy = pair_logprobs(network, [pair for _, pair in part], _needs(collision=collision))
        values = loss(policy, _like(taken(reference, [place for place, _ in part]), policy))
        return Summed(values.sum(), float(len(part)), sum(len(row.answer) for row in both([pair for _, pair in part])))

    return of


def parts(things: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    return (things[first : first + size] for first in range(0, len(things), size))


def _needs(*, collision: bool) -> AbstractSet[Need]:
    return {"collision"} if collision else frozenset()


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)).detach().cpu().double()


def _like(reference: PairLogprobs, policy: PairLogprobs) -> PairLogprobs:
    """Where the policy's numbers are, and in their type; lengths are the policy's own."""
    chosen, rejected = reference.chosen.to(policy.chosen), reference.rejected.to(policy.chosen)
    return replace(reference, chosen=chosen, rejected=rejected, tokens=policy.tokens)


def _collision(found: Sequence[PairLogprobs]) -> BothByToken:
    tables = [one.collision for one in found if one.collision is not None]
    return BothByToken(_tables([one.chosen for one in tables]), _tables([one.rejected for one in tables]))


def _tables(given: Sequence[Tensor]) -> Tensor:
    width = max(table.shape[1] for table in given)
    filled = [torch.nn.functional.pad(table, (0, width - table.shape[1])) for table in given]
    return _joined(filled)
