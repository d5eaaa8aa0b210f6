"""The next-token logits of a batch that is being written: with a cache of its past, or without."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from springback.models import single_query
from springback.models.cache import select
from springback.models.prefix import Prefix, empty, shared
from springback.models.readout import read
from springback.models.rows import batches, pad_left

BATCH_TOKENS = 4096
"""Padded tokens of prompts and answers that are written at one time; bounds the cache."""


@dataclass(slots=True)
class Writing:
    """One answer that is being written."""

    prompt: tuple[int, ...]
    generator: torch.Generator | None
    ids: list[int] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    ended: bool = False


@runtime_checkable
class Reader(Protocol):
    """Gives the logits after the last token of each live row, and forgets rows that have ended."""

    live: list[Writing]

    def logits(self) -> Tensor:
        """[row, vocab], in the compute dtype."""
        ...

    def keep(self, positions: list[int]) -> None:
        """Go on with these of the live rows."""
        ...


class Cached:
    """One rectangle and its cache; each step feeds one token a row."""

    def __init__(self, network: nn.Module, rows: list[Writing], prefix: Prefix, cache: Cache) -> None:
        self.network, self.live, self.device = network, rows, next(network.parameters()).device
        padded = pad_left([row.prompt[prefix.length :] for row in rows])
        self.seen = torch.cat([torch.ones(len(rows), prefix.length, dtype=torch.bool), padded.real], dim=1)
        self.ids = padded.ids
        self.positions = (self.seen.cumsum(dim=-1) - 1).clamp(min=0)[:, prefix.length :]
        self.cache = prefix.for_rows(len(rows)) or cache

    def logits(self) -> Tensor:
        mask = self.seen.long()
        if self.live[0].ids:
            self.ids = torch.tensor([row.ids[-1:] for row in self.live])
            self.positions = self.positions[:, -1:] + 1
            self.seen = torch.cat([self.seen, torch.ones(len(self.live), 1, dtype=torch.bool)], dim=1)
            mask = single_query.mask(self.network, self.seen)
        inputs = {"input_ids": self.ids, "attention_mask": mask, "position_ids": self.positions}
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        last = torch.zeros(self.ids.shape, dtype=torch.bool)
        last[:, -1] = True
        reading = read(self.network, inputs | {"past_key_values": self.cache, "use_cache": True}, last)
        return next(reading.logits(len(self.live)))

    def keep(self, positions: list[int]) -> None:
        kept = torch.tensor(positions)
        self.live = [self.live[position] for position in positions]
        self.seen, self.positions = self.seen[kept], self.positions[kept]
        self.cache = select(self.cache, kept)


class Uncached:
    """Rows of one length, read from their beginning at every step."""

    def __init__(self, network: nn.Module, rows: list[Writing]) -> None:
        self.network, self.live, self.device = network, rows, next(network.parameters()).device

    def logits(self) -> Tensor:
        ids = torch.tensor([[*row.prompt, *row.ids] for row in self.live], device=self.device)
        last = torch.zeros(ids.shape, dtype=torch.bool)
        last[:, -1] = True
        return next(read(self.network, {"input_ids": ids, "use_cache": False}, last).logits(len(self.live)))

    def keep(self, positions: list[int]) -> None:
        self.live = [self.live[position] for position in positions]


def readers(network: nn.Module, rows: list[Writing], most: int) -> Iterator[Reader]:
    """Batches of rows, each of which may grow by `most` tokens; without a cache only rows of one length go together."""
    if empty(network) is None:
        for _, alike in groupby(sorted(rows, key=_prompt_tokens), key=_prompt_tokens):
            yield Uncached(network, list(alike))
        return
    columns = max(map(_prompt_tokens, rows), default=0) + most
    prompts = [row.prompt for row in rows]
    prefix = shared(network, prompts, example=max(prompts, key=len, default=()), middle_padding_up_to=columns)
    for indices in batches([_prompt_tokens(row) + most for row in rows], tokens=BATCH_TOKENS):
        cache = empty(network)
        assert cache is not None  # it was there above
        yield Cached(network, [rows[index] for index in indices], prefix, cache)


def _prompt_tokens(row: Writing) -> int:
    return len(row.prompt)
