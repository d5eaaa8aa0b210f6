"""A key-value cache that can be cut back to any length, repeated for a batch and thinned to some of its rows.

Nothing here writes into the cache it is given: the layers grow by concatenation, so views of the old tensors stay
valid. Layers are taken by their exact class. A layer that has forgotten, quantised or summed its past (linear
attention, state spaces, static and quantised layers) is refused, because cutting it back would be a guess.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

Layer = Any
"""One layer of a transformers cache; the fields used here are those of `DynamicLayer`."""


def unfit(cache: object) -> str | None:
    """Why this cache cannot be taken apart, or None where it can."""
    if not isinstance(cache, Cache):
        return f"{type(cache).__name__} is not a cache of layers"
    if cache.layer_class_to_replicate not in (None, DynamicLayer):
        return f"its layers are {cache.layer_class_to_replicate.__name__}"
    wrong = {
        type(layer).__name__ for layer in cache.layers if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer)
    }
    return f"it has layers of the kind {', '.join(sorted(wrong))}" if wrong else None


def window(cache: Cache) -> int | None:
    """The shortest sliding window in the cache in tokens, None where every layer keeps everything."""
    windows = [layer.sliding_window for layer in cache.layers if isinstance(layer, DynamicSlidingWindowLayer)]
    return min(windows, default=None)


def cut(cache: Cache, length: int) -> DynamicCache:
    """The cache as it was after its first `length` tokens; `ValueError` where a layer has dropped some of them."""
    held = cache.get_seq_length()
    if not 0 <= length <= held:
        raise ValueError(f"A cache of {held} tokens cannot be cut to {length}.")
    reach = window(cache)
    if length < held and reach is not None and held >= reach:
        raise ValueError(
            f"A sliding window of {reach} tokens has dropped the beginning of {held}; it cannot be cut back."
        )
    return _rebuilt(cache, lambda states: states[..., :length, :], length)


def repeat(cache: Cache, rows: int) -> DynamicCache:
    """A cache of one row, standing for `rows` equal rows; no memory is copied until they differ."""
    return _rebuilt(cache, lambda states: states.expand(rows, -1, -1, -1))


def select(cache: Cache, rows: Int[Tensor, " kept"]) -> DynamicCache:
    """Only these rows of the batch, in this order."""
    return _rebuilt(cache, lambda states: states.index_select(0, rows.to(states.device)))


def _rebuilt(cache: Cache, change: Callable[[Tensor], Tensor], length: int | None = None) -> DynamicCache:
    why = unfit(cache)
    if why:
        raise ValueError(f"This cache cannot be taken apart: {why}.")
    rebuilt = copy(cache)
    rebuilt.layers = [_changed(layer, change, length) for layer in cache.layers]
    return rebuilt  # pyright: ignore[reportReturnType]  # a Cache of dynamic layers is what DynamicCache builds


def _changed(layer: Layer, change: Callable[[Tensor], Tensor], length: int | None) -> Layer:
    changed = copy(layer)
    if layer.is_initialized:
        changed.keys, changed.values = change(layer.keys), change(layer.values)
        if length is not None and isinstance(layer, DynamicSlidingWindowLayer):
            changed.cumulative_length = length
    return changed


def holds(cache: object, length: int) -> bool:
    """Whether the network really filled every layer with `length` tokens (some ignore the cache they are handed)."""
    if unfit(cache) or not isinstance(cache, Cache):
        return False
    layers: list[Layer] = cache.layers
    return bool(layers) and all(layer.is_initialized and layer.get_seq_length() == length for layer in layers)


__all__ = ["cut", "holds", "repeat", "select", "unfit", "window"]
