"""Answer embeddings of preference pairs beside their log-probabilities, from one forward pass and with its graph."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from springback.models.groups import cheapest
from springback.models.hooks import capture
from springback.models.layout import Layout
from springback.models.rows import RowPair
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference.embeddings import Embeddings, States
from springback.train.preference.method import Need
from springback.train.preference.pairs import PairLogprobs

_layouts: WeakKeyDictionary[nn.Module, Layout] = WeakKeyDictionary()


def pair_embeddings(
    network: nn.Module,
    pairs: Sequence[RowPair],
    states: States,
    needs: AbstractSet[Need] = frozenset(),
    *,
    reference: nn.Module | None = None,
) -> PairLogprobs:
    """As `pair_logprobs`, with `embeddings` in the type of the log-probabilities.

    `ValueError` where there is no such block, RefusedError where the residual stream cannot be found.
    """
    layout = layout_of(network)
    block = block_of(layout, states.layer)
    with capture(network, layout, [block]) as captured:
        found = pair_logprobs(network, pairs, needs, reference=reference)
    stream = captured.steps[block][-1]  # a reference that is this network without its adapter was read before
    wanted = cheapest(network, [(pair.chosen, pair.rejected) for pair in pairs]).wanted
    lengths = [len(row.answer) for pair in pairs for row in (pair.chosen, pair.rejected)]
    rows = stream[wanted.to(stream.device)].to(found.chosen.dtype).split(lengths)
    return replace(found, embeddings=_embeddings(rows, states))


def layout_of(network: nn.Module) -> Layout:
    """Where this network's residual stream runs; found out once for each network object."""
    if network not in _layouts:
        _layouts[network] = Layout.of(network)
    return _layouts[network]


def block_of(layout: Layout, layer: int) -> int:
    """The block's number from 0; `ValueError` where there is none."""
    if not -layout.layers <= layer < layout.layers:
        raise ValueError(f"layer must be in {-layout.layers} … {layout.layers - 1}, got {layer}")
    return layer % layout.layers


def _embeddings(rows: Sequence[Tensor], states: States) -> Embeddings:
    """From the states that predict each answer's tokens: chosen, rejected, chosen …"""
    chosen, rejected = (torch.stack([states.of(row) for row in rows[side::2]]) for side in (0, 1))
    return Embeddings(chosen, rejected, torch.stack([row[0] for row in rows[0::2]]))
