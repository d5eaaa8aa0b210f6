"""Pairs, ranked lists and labelled answers as what a loss of the family sees of them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from springback.models.pair_tokens import Item, LabelledRow, RankedRows, answers
from springback.models.rows import Row, RowPair
from springback.train.pair_embeddings import pair_embeddings
from springback.train.pair_logprobs import labelled_logprobs, list_logprobs, pair_logprobs
from springback.train.preference.embeddings import States
from springback.train.preference.kto import mismatches
from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.method import Need
from springback.train.preference.pairs import PairLogprobs
from springback.train.preference.samples import SampledLogprobs

Logprobs = PairLogprobs | ListLogprobs | LabelledLogprobs
READ: frozenset[Need] = frozenset({"lengths", "tokens", "collision", "divergence"})
"""Needs that are read off the same forward pass."""


def logprobs(
    network: nn.Module,
    items: Sequence[Item],
    needs: AbstractSet[Need],
    *,
    reference: nn.Module | None = None,
    states: States | None = None,
) -> Logprobs:
    """Log π of the items' answers with its graph, nats; items are of one kind.

    `reference`: the network that the need `divergence` compares with; `states`: what the need `embeddings` reads.
    """
    read = frozenset(needs & READ)
    if all(isinstance(item, RowPair) for item in items):
        pairs = [item for item in items if isinstance(item, RowPair)]
        compared = reference if "divergence" in read else None
        if states is not None:
            return pair_embeddings(network, pairs, states, read, reference=compared)
        return pair_logprobs(network, pairs, read, reference=compared)
    if all(isinstance(item, RankedRows) for item in items):
        return list_logprobs(network, [answers(item) for item in items], relevance(items), read)
    labelled = [item for item in items if isinstance(item, LabelledRow)]
    assert len(labelled) == len(items), "items of one batch are of one kind"
    rows, wanted = [item.row for item in labelled], torch.tensor([item.wanted for item in labelled])
    found = labelled_logprobs(network, rows, wanted, read)
    return replace(found, mismatched=_mismatched(network, rows)) if "mismatched" in needs else found


def relevance(items: Sequence[Item]) -> Tensor:
    """[prompt, answer]: how good each answer is, filled up with the least that there is."""
    given = [item.relevance for item in items if isinstance(item, RankedRows)]
    width = max(map(len, given))
    return torch.tensor([[*values, *[min(values)] * (width - len(values))] for values in given])


def sampled(found: Logprobs) -> SampledLogprobs:
    """Lists whose last answer is the rejected one and whose others the policy has written."""
    assert isinstance(found, ListLogprobs)
    return SampledLogprobs(found.logprobs[:, :-1], found.logprobs[:, -1])


def tokens_of(items: Sequence[Item]) -> int:
    """Answer tokens of the items, their stops included."""
    return sum(len(row.answer) for item in items for row in answers(item))


def detached(found: Logprobs) -> Logprobs:
    """The same without its graph."""
    return _mapped(found, lambda tensor: tensor.detach())


def on_cpu(found: Logprobs) -> Logprobs:
    """The same in main memory, where every process can read it."""
    return _mapped(found, lambda tensor: tensor.cpu())


def joined(parts: Sequence[Logprobs]) -> Logprobs:
    """Log-probabilities of several micro-batches as those of the whole batch; tables are filled up with zeros."""
    return _together(list(parts))


def _mismatched(network: nn.Module, rows: Sequence[Row]) -> Tensor:
    """Log π of answers behind prompts of other examples; without a graph, since no loss learns from it."""
    found = [
        Row(rows[one.prompt].prompt, rows[one.answer].answer, 1, 0) for one in mismatches([r.prompt for r in rows])
    ]
    with torch.no_grad():
        if not found:
            return torch.zeros(0, dtype=torch.float64)
        return labelled_logprobs(network, found, torch.zeros(len(found), dtype=torch.bool)).logprob


def _mapped(found: Any, of: Any) -> Any:
    if isinstance(found, Tensor):
        return of(found)
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{each.name: _mapped(getattr(found, each.name), of) for each in fields(found)})
    return found


def _together(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        if first.ndim < 2:
            return torch.cat(parts)
        width = max(part.shape[1] for part in parts)
        return torch.cat([F.pad(part, (0, width - part.shape[1])) for part in parts])
    if is_dataclass(first) and not isinstance(first, type):
        columns = {each.name: _together([getattr(part, each.name) for part in parts]) for each in fields(first)}
        return replace(first, **columns)
    return first
