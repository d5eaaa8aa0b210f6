"""Where the tokens of several answers to one prompt stand, and what each of them sees. Lengths in, no network.

    prompt without its last token | last token, answer 0 | last token, answer 1 | …

The last token of the prompt stands before each answer, so that every answer's first prediction has a place of its own:
K answers of R tokens take P − 1 + K·R places. The last token of an answer is no input: nothing is predicted from it.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from springback.models.group_attention import BLOCK, Block
from springback.models.rows import Row

Group = Sequence[Row]
"""Answers to one prompt; all rows have the same prompt tokens."""
Bins = Sequence[Sequence[Group]]
"""Groups of each batch row, in their order."""


class Layout(NamedTuple):
    """A rectangle of groups, each batch row filled up on the right."""

    ids: Int[Tensor, "batch time"]
    places: Int[Tensor, "batch time"]
    """Position in the text; it begins again behind the prompt with every answer. 0 on padding."""
    group: Int[Tensor, "batch time"]
    """Number of the group in its batch row; −1 on padding."""
    answer: Int[Tensor, "batch time"]
    """Number of the answer in its group; −1 in the prompt and on padding."""
    wanted: Bool[Tensor, "batch time"]
    """Predicts an answer token."""

    @property
    def seen(self) -> Bool[Tensor, "batch time time"]:
        """Which position (last axis) each position sees: itself, and before it its own answer and the prompt."""
        group, answer, time = self.group, self.answer, self.group.shape[1]
        own = (answer[:, :, None] == answer[:, None]) | (answer[:, None] == -1)
        return (group[:, :, None] == group[:, None]) & own & torch.ones(time, time, dtype=torch.bool).tril()


def layout(bins: Bins) -> Layout:
    """The rectangle of these batch rows."""
    width = max(map(width_of, bins))
    table = torch.tensor([_row(groups, width) for groups in bins])
    ids, places, group, answer, wanted = table.unbind(-1)
    return Layout(ids, places, group, answer, wanted.bool())


def width_of(groups: Sequence[Group]) -> int:
    """Places that one batch row of these groups takes."""
    return sum(map(tokens, groups))


def tokens(group: Group) -> int:
    """Places that a group takes: P − 1 + Σ max(R, 1)."""
    return len(group[0].prompt) - 1 + sum(len(tail(row)) for row in group)


def tail(row: Row) -> tuple[int, ...]:
    """What stands behind the shared prompt: its last token, and the answer but its last."""
    return row.prompt[-1:] + row.answer[:-1]


def blocks(bins: Bins) -> list[Block]:
    """The queries of all groups in blocks of about `BLOCK`, each with the keys that it may see."""
    found: list[Block] = []
    for row, groups in enumerate(bins):
        start = 0
        for group in groups:
            found += [Block(row, *spans) for spans in _of_group(group, start)]
            start += tokens(group)
    return found


def _of_group(group: Group, start: int) -> Iterator[tuple[slice, tuple[slice, ...]]]:
    answers = start + len(group[0].prompt) - 1
    for queries in _cut(start, answers):
        yield queries, (slice(start, queries.stop),)
    for queries in _together(answers, [len(tail(row)) for row in group]):
        apart = queries.start > answers > start
        yield queries, (slice(start, answers), queries) if apart else (slice(start, queries.stop),)


def _cut(start: int, stop: int) -> Iterator[slice]:
    count = max(1, round((stop - start) / BLOCK))
    edges = [start + (stop - start) * index // count for index in range(count + 1)]
    return (slice(*edge) for edge in itertools.pairwise(edges) if edge[0] < edge[1])


def _together(start: int, lengths: Sequence[int]) -> Iterator[slice]:
    """Answers that follow each other, as many as fit into a block; a longer one stands alone."""
    stop = start
    for length in lengths:
        if stop > start and stop + length - start > BLOCK:
            yield slice(start, stop)
            start = stop
        stop += length
    yield slice(start, stop)


class _Token(NamedTuple):
    id: int
    place: int
    group: int
    answer: int
    wanted: bool


_PADDING = _Token(0, 0, -1, -1, wanted=False)


def _row(groups: Sequence[Group], width: int) -> list[_Token]:
    found = [token for number, group in enumerate(groups) for token in _tokens(group, number)]
    return found + [_PADDING] * (width - len(found))


def _tokens(group: Group, number: int) -> Iterator[_Token]:
    before = group[0].prompt[:-1]
    for place, token in enumerate(before):
        yield _Token(token, place, number, -1, wanted=False)
    for index, row in enumerate(group):
        for place, token in enumerate(tail(row), len(before)):
            yield _Token(token, place, number, index, wanted=bool(row.answer))
