"""The tokens that a batch begins with alike, encoded once and lent to every row."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.cache_utils import Cache, DynamicCache

from springback.models.cache import cut, holds, repeat, unfit, window
from springback.models.readout import accepts, context, read, text_config
from springback.models.rows import common_prefix

WORTH = 32
"""Fewer tokens saved than this are not worth a forward pass of their own."""

ALIGNED = 16
"""Columns: the depth of a bfloat16 dot product's block."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first `length` tokens of every row, as a cache of one row; None and 0 where nothing is shared."""

    length: int = 0
    cache: Cache | None = None

    def for_rows(self, rows: int) -> Cache | None:
        """A cache that `rows` rows can continue; the prefix itself is not written to."""
        return None if self.cache is None else repeat(self.cache, rows)


def shared(
    network: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    example: Sequence[int],
    middle_padding_up_to: int | None = None,
) -> Prefix:
    """Encode the common prefix, or share nothing where it saves nothing or the architecture does not allow it.

    `example`: a whole row that begins with the prefix. It is encoded in full and cut back: attention kernels round
    differently for few queries than for many, and in bfloat16 a prefix encoded by itself moves every later token by
    .05 nats; an encoded row whose length `missing` has completed, cut back, moves none.
    `middle_padding_up_to`: the caller will put padding between prefix and rest, in caches of up to so many tokens. A
    sliding window counts columns, padding too, so such a network shares only while the window holds them all.
    """
    length, cache = common_prefix(prompts), empty(network)
    if length * (len(prompts) - 1) < WORTH or cache is None:
        return Prefix()
    reach = window(cache)
    if reach is not None and middle_padding_up_to is not None and middle_padding_up_to >= reach:
        return Prefix()
    whole = (*example, *[0] * missing(network, len(example)))
    fits = len(whole) <= (context(network) or len(whole)) and (reach is None or len(whole) < reach)
    return _encoded(network, whole if fits else example[:length], length, cache)


def missing(network: nn.Module, columns: int) -> int:
    """How many columns to add on the right so that attention is over a multiple of `ALIGNED`; 0 in float32.

    On CPUs, kernels for bfloat16 sum in another order over other remainders. Aligned, a row's bits are the same alone,
    in any batch and after a shared prefix. A network that counts positions by itself might count beyond its context.
    """
    exact = next(network.parameters()).dtype.itemsize >= torch.float32.itemsize
    return 0 if exact or not positioned(network) else -columns % ALIGNED


def empty(network: nn.Module) -> Cache | None:
    """A new cache for this network, None where its kind of cache cannot be taken apart or a row cannot start anywhere.

    Attention in fixed chunks is out: chunks are counted in columns, so padding would move their borders.
    """
    chunked = "chunked_attention" in (getattr(text_config(network), "layer_types", None) or ())
    if chunked or not accepts(network, "past_key_values") or not positioned(network):
        return None
    cache = DynamicCache(config=network.config)  # pyright: ignore[reportArgumentType]
    return None if unfit(cache) else cache


def positioned(network: nn.Module) -> bool:
    """Whether position numbers can be told to the network, so that a row may start anywhere in the rectangle."""
    return accepts(network, "position_ids")


def _encoded(network: nn.Module, ids: Sequence[int], length: int, cache: Cache) -> Prefix:
    tokens = torch.tensor([ids], device=next(network.parameters()).device)
    last = torch.arange(len(ids))[None] == len(ids) - 1
    read(network, {"input_ids": tokens, "past_key_values": cache, "use_cache": True}, last)
    return Prefix(length, cut(cache, length)) if holds(cache, len(ids)) else Prefix()
