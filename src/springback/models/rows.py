"""A prompt and an answer as token ids, and how several of them become batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to one prompt. The answer's tokens, its stop included, are what is scored."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    stop: int
    """How many trailing tokens of `answer` end the turn; they carry code bits and no bytes of text."""
    answer_bytes: int
    """UTF-8 bytes of the answer's text."""
    other: "Row | None" = field(default=None, compare=False, repr=False)
    """The other answer to the same prompt, where rows came as pairs: what a preference loss sets against this one."""

    def __len__(self) -> int:
        """Tokens, prompt and answer together."""
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class RowPair:
    """Two answers to one prompt, for preference learning; both rows have the same prompt tokens."""

    chosen: Row
    rejected: Row

    def __post_init__(self) -> None:
        if self.chosen.prompt != self.rejected.prompt:
            raise ValueError("the two answers of a pair must follow the same prompt tokens")


class Padded(NamedTuple):
    """Sequences of several lengths as one rectangle."""

    ids: Int[Tensor, "batch time"]
    real: Bool[Tensor, "batch time"]
    """False on padding."""


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all sequences share while each keeps at least one token for itself."""
    alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*sequences, strict=False)))
    return max(0, min([alike, *(len(sequence) - 1 for sequence in sequences)]))


def batches(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Indices sorted by length, cut where the padded rectangle would pass `tokens`; a longer row stands alone."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad_right(sequences: Sequence[Sequence[int]], *, width: int | None = None) -> Padded:
    """Padding after the end, up to `width` columns or the longest: a causal model never looks at it."""
    width = width or max(map(len, sequences))
    ids = torch.tensor([[*sequence, *[0] * (width - len(sequence))] for sequence in sequences])
    return Padded(ids, torch.arange(width) < torch.tensor([[len(sequence)] for sequence in sequences]))


def pad_left(sequences: Sequence[Sequence[int]]) -> Padded:
    """Padding before the beginning: every row's last token stands in the last column."""
    width = max(map(len, sequences))
    ids = torch.tensor([[*[0] * (width - len(sequence)), *sequence] for sequence in sequences])
    return Padded(ids, torch.arange(width) >= width - torch.tensor([[len(sequence)] for sequence in sequences]))
