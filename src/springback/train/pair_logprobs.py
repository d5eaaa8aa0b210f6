"""Log-probabilities of preference data under a network, with their graph: what every loss of the family is given.

Answers to one prompt go through the network behind one copy of it (`models.groups`), and logits exist at answer
positions only (`models.answer_head`). Log-softmax in float32 (float64 in a float64 network), sums in float64 where the
device has it. A reference is asked inside `torch.no_grad()`, a LoRA's own start inside `models.adapters.start_view`.
The network's mode is the caller's: dropout is off only in evaluation mode.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from springback.models.adapters import adapted, start_view
from springback.models.answer_head import Asked, Terms, terms
from springback.models.groups import Group, cheapest
from springback.models.readout import Reading, read
from springback.models.rows import Row, RowPair
from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.method import Need
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs


def pair_logprobs(
    network: nn.Module,
    pairs: Sequence[RowPair],
    needs: AbstractSet[Need] = frozenset(),
    *,
    token_weights: BothByToken | None = None,
    reference: nn.Module | None = None,
) -> PairLogprobs:
    """Log π of both answers of each pair, nats; `tokens` always, the other fields where `needs` names them.

    `token_weights` multiply log π and the divergence of every token before they are summed (`by_token` is then
    weighted too; `tokens` and `collision` are not). `reference` is whose distributions the need `divergence` compares
    with, KL(reference ‖ network), without gradient: another network, or this very one, then without its adapter.
    """
    groups = [(pair.chosen, pair.rejected) for pair in pairs]
    rows = _rows(network, groups, needs, reference)
    chosen, rejected = rows[0::2], rows[1::2]
    if token_weights is not None:
        chosen = _weighted(chosen, token_weights.chosen)
        rejected = _weighted(rejected, token_weights.rejected)
    return PairLogprobs(
        chosen=_sums(chosen),
        rejected=_sums(rejected),
        tokens=Both(_counts(chosen), _counts(rejected)),
        by_token=BothByToken(_table(chosen), _table(rejected)) if "tokens" in needs else None,
        collision=_collision(chosen, rejected) if "collision" in needs else None,
        divergence=_divergence(chosen, rejected) if "divergence" in needs else None,
    )


def list_logprobs(
    network: nn.Module,
    groups: Sequence[Group],
    relevance: Float[Tensor, "prompt answer"],
    needs: AbstractSet[Need] = frozenset(),
) -> ListLogprobs:
    """Log π of the answers to each prompt, nats; groups of fewer answers than the longest are filled up with zeros."""
    _refuse(needs, {"tokens", "collision", "divergence"}, "lists")
    rows = _rows(network, groups, needs, None)
    sizes = [len(group) for group in groups]
    counted = pad_sequence(list(_counts(rows).split(sizes)), batch_first=True)
    real = torch.arange(max(sizes), device=counted.device) < torch.tensor(sizes, device=counted.device)[:, None]
    return ListLogprobs(
        pad_sequence(list(_sums(rows).split(sizes)), batch_first=True), relevance.to(counted), counted, real
    )


def labelled_logprobs(
    network: nn.Module, rows: Sequence[Row], wanted: Bool[Tensor, " example"], needs: AbstractSet[Need] = frozenset()
) -> LabelledLogprobs:
    """Log π of one answer to each prompt, nats; rows that follow each other with one prompt share it."""
    _refuse(needs, {"tokens", "collision", "divergence"}, "labelled examples")
    found = _rows(network, _by_prompt(rows), needs, None)
    logprob = _sums(found)
    return LabelledLogprobs(logprob, wanted.to(logprob.device), _counts(found))


class _Row(NamedTuple):
    """Terms of one answer's tokens, nats."""

    logprob: Float[Tensor, " token"]
    collision: Float[Tensor, " token"] | None
    divergence: Float[Tensor, " token"] | None


def _rows(
    network: nn.Module, groups: Sequence[Group], needs: AbstractSet[Need], reference: nn.Module | None
) -> list[_Row]:
    inputs = cheapest(network, groups)
    compared = _compared(network, groups, reference) if "divergence" in needs else None
    reading = read(network, inputs.arguments, inputs.wanted)
    rows = [row for group in groups for row in group]
    ids = [token for row in rows for token in row.answer]
    targets = torch.tensor(ids, dtype=torch.long, device=reading.states.device)
    found = terms(reading, Asked(targets, collision="collision" in needs, reference=compared))
    return _split(found, [len(row.answer) for row in rows])


def _split(found: Terms, lengths: list[int]) -> list[_Row]:
    none = [None] * len(lengths)
    columns = (none if column is None else column.split(lengths) for column in found)
    return [_Row(*row) for row in zip(*columns, strict=True)]


@torch.no_grad()
def _compared(network: nn.Module, groups: Sequence[Group], reference: nn.Module | None) -> Reading:
    if reference is None or (reference is network and not adapted(network)):
        raise ValueError("the need `divergence` must be given a reference: another network, or one with an adapter")
    inputs = cheapest(reference, groups)
    with start_view(network) if reference is network else nullcontext():
        return read(reference, inputs.arguments, inputs.wanted)


def _sums(rows: Sequence[_Row]) -> Float[Tensor, " row"]:
    return torch.stack([row.logprob.sum() for row in rows])


def _counts(rows: Sequence[_Row]) -> Float[Tensor, " row"]:
    first = rows[0].logprob
    return torch.tensor([len(row.logprob) for row in rows], dtype=first.dtype, device=first.device)


def _table(rows: Sequence[_Row]) -> Float[Tensor, "row time"]:
    return pad_sequence([row.logprob for row in rows], batch_first=True)


def _weighted(rows: Sequence[_Row], weights: Float[Tensor, "row time"]) -> list[_Row]:
    if weights.shape != (len(rows), width := max(len(row.logprob) for row in rows)):
        raise ValueError(f"weights must be {len(rows)} × {width}, one for each token, got {tuple(weights.shape)}")
    return [_times(row, weight) for row, weight in zip(rows, weights, strict=True)]


def _times(row: _Row, weights: Tensor) -> _Row:
    own = weights[: len(row.logprob)].to(row.logprob)
    return _Row(row.logprob * own, row.collision, None if row.divergence is None else row.divergence * own)


def _collision(chosen: Sequence[_Row], rejected: Sequence[_Row]) -> BothByToken:
    return BothByToken(
        *(pad_sequence([_there(row.collision) for row in rows], batch_first=True) for rows in (chosen, rejected))
    )


def _divergence(chosen: Sequence[_Row], rejected: Sequence[_Row]) -> Both:
    return Both(*(torch.stack([_there(row.divergence).sum() for row in rows]) for rows in (chosen, rejected)))


def _there(column: Tensor | None) -> Tensor:
    assert column is not None
    return column


def _by_prompt(rows: Sequence[Row]) -> list[list[Row]]:
    groups: list[list[Row]] = []
    for row in rows:
        if groups and groups[-1][0].prompt == row.prompt:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _refuse(needs: AbstractSet[Need], unknown: AbstractSet[Need], what: str) -> None:
    if needs & unknown:
        raise ValueError(f"{what} are given no {', '.join(sorted(needs & unknown))}")
