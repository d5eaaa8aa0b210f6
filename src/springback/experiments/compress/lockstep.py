"""Next-token distributions of several independent blocks at once, one step after the other: for encoder and decoder.

Both run `walk`, and it does not know which of them asks: the same shapes, in the same order, over the same growing
cache. So the logits are bit-equal where the same software runs on the same kind of machine with the same threads.

A text is cut into blocks of nearly equal length. Each begins as the text does, with the start token and no other
context, so all of them are read as one batch: decoding takes as many steps as one block has tokens. Windows slide over
the longest block as they do over a text that is scored, and over the others in step with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer

from springback.experiments.compress.windows import spans
from springback.models.prefix import empty
from springback.models.readout import quiet, read, text_config

BLOCK_TOKENS: Final = 512
"""A block for so many tokens: a shorter one would pay more for the context that it lacks."""
MOST_BLOCKS: Final = 32
CACHED_TOKENS: Final = 32_768
"""Of all blocks together; bounds the cache (SmolLM2-135M in float32: 1.5 GB)."""

Choose = Callable[[NDArray[np.float32]], list[int]]
"""Is given the logits of the blocks that still go on, [block, vocab], in order; returns the token of each."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text's tokens are laid out in blocks."""

    tokens: int
    blocks: int
    window: int
    stride: int
    start: int | None
    """The token before each block; None: its first token is coded with log₂|V| bits."""

    def lengths(self) -> list[int]:
        """Tokens of each block, never increasing."""
        size, longer = divmod(self.tokens, self.blocks)
        return [size + 1] * longer + [size] * (self.blocks - longer)


def blocks_for(tokens: int, window: int) -> int:
    """How many blocks a text is cut into unless it is asked for."""
    most = MOST_BLOCKS if tokens <= CACHED_TOKENS else max(1, min(MOST_BLOCKS, CACHED_TOKENS // window))
    return max(1, min(most, tokens // BLOCK_TOKENS))


def cut(tokens: Sequence[int], layout: Layout) -> list[Sequence[int]]:
    """The blocks of a text."""
    ends = np.cumsum([0, *layout.lengths()])
    return [tokens[a:b] for a, b in pairwise(ends)]


def walk(network: nn.Module, layout: Layout, choose: Choose) -> list[list[int]]:
    """Ask for every token of every block, step by step; returns the blocks."""
    with quiet(network):
        return list(_walk(network, layout, choose))


def _walk(network: nn.Module, layout: Layout, choose: Choose) -> Iterator[list[int]]:
    lengths, given = layout.lengths(), 0 if layout.start is None else 1
    held: list[list[int]] = [[] if layout.start is None else [layout.start] for _ in lengths]

    def step(position: int, logits: NDArray[np.float32]) -> None:
        going = sum(length + given > position for length in lengths)
        chosen = choose(logits[:going])
        for row, token in zip(held, [*chosen, *[0] * (len(held) - going)], strict=True):
            row.append(token)

    longest = lengths[0] + given
    if layout.start is None and longest:
        step(0, np.zeros((len(held), text_config(network).vocab_size), np.float32))
    for context, first, upto in spans(longest, window=layout.window, stride=layout.stride):
        reader = _Reader(network, len(held), capacity=upto - 1 - context)
        feed = [row[context:first] for row in held]
        for position in range(first, upto):
            step(position, reader.logits(feed))
            feed = [row[-1:] for row in held]
    for row, length in zip(held, lengths, strict=True):
        yield row[given : given + length]


class _Reader:
    """One rectangle of blocks that grows to the right; without a usable cache it is read again from its beginning."""

    def __init__(self, network: nn.Module, rows: int, *, capacity: int) -> None:
        self.network, self.cache = network, _roomy(empty(network), capacity)
        self.seen = torch.empty(rows, 0, dtype=torch.long, device=next(network.parameters()).device)

    def logits(self, feed: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """After the last of the tokens that are fed, [row, vocab]."""
        ids = torch.tensor(feed, device=self.seen.device)
        self.seen = torch.cat([self.seen, ids], dim=1)
        if self.cache is not None and self.cache.get_seq_length() + ids.shape[1] != self.seen.shape[1]:
            self.cache = None  # the network ignores the cache it is handed
        inputs = {"input_ids": self.seen, "use_cache": False}
        if self.cache is not None:
            inputs = {"input_ids": ids, "past_key_values": self.cache, "use_cache": True}
        last = torch.zeros(inputs["input_ids"].shape, dtype=torch.bool)
        last[:, -1] = True
        return next(read(self.network, inputs, last).logits(len(feed))).float().cpu().numpy()


class _Roomy(DynamicLayer):
    """A cache layer with its room made at once: growing by concatenation would copy all of it for every token."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity, self.room = capacity, ()

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_more: object
    ) -> tuple[Tensor, Tensor]:
        held = self.get_seq_length()
        upto = held + key_states.shape[-2]
        if not self.room:
            self.lazy_initialization(key_states, value_states)
            self.room = tuple(one.new_empty(*one.shape[:-2], self.capacity, one.shape[-1])
                              for one in (key_states, value_states))  # fmt: skip
        for room, new in zip(self.room, (key_states, value_states), strict=True):
            room[..., held:upto, :] = new
        self.keys, self.values = (room[..., :upto, :] for room in self.room)
        return self.keys, self.values


def _roomy(cache: Any, capacity: int) -> Any:
    if cache is not None:
        cache.layers = [_Roomy(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
