"""Where the answers' embeddings stand at a reading, for a loss that moves them: are chosen answers nearer the anchor?

The anchor of a pair is the mean direction of the *other* pairs' chosen answers, or its own prompt, as the loss has it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from springback.errors import refused
from springback.experiments.prefer.products import pairs_of
from springback.experiments.prefer.readings import Set
from springback.experiments.prefer.walk import Record
from springback.models.rows import RowPair
from springback.stats.measured import Measured, mean
from springback.train.pair_embeddings import block_of, layout_of, pair_embeddings
from springback.train.preference.embeddings import Embeddings, States
from springback.train.preference.given import given
from springback.train.preference.info_nce_embeddings import InfoNCEEmbeddings

AT_ONCE = 8
"""Pairs in one forward pass: memory, not results."""


def require_block(network: nn.Module, method: Any) -> None:
    """Refuse a layer that the network does not have."""
    if not isinstance(method, InfoNCEEmbeddings):
        return
    try:
        block_of(layout_of(network), method.layer)
    except ValueError as error:
        raise refused("loss", f"info_nce_embeddings: {error}") from error


def embeddings(network: nn.Module, sets: Sequence[Set], method: Any, step: int) -> Iterator[Record]:
    """An `embedding` record of every set; none for a loss that moves no embeddings."""
    if isinstance(method, InfoNCEEmbeddings):
        for found in sets:
            pairs = pairs_of(found, len(found.chosen))
            body = {"set": found.name, "step": step, **_body(network, pairs, method)}
            yield "embedding", f"{found.name}/{step}", body


def similarities(found: Embeddings, anchor: str) -> tuple[Tensor, Tensor]:
    """Cosine of each pair's chosen and rejected answer with its anchor."""
    chosen, rejected, prompt = (F.normalize(each, dim=-1) for each in (found.chosen, found.rejected, found.prompt))
    others = chosen.sum(dim=0, keepdim=True) - chosen
    to = F.normalize(others, dim=-1) if anchor == "chosen" else prompt
    return (to * chosen).sum(dim=-1), (to * rejected).sum(dim=-1)


def _body(network: nn.Module, pairs: Sequence[RowPair], method: InfoNCEEmbeddings) -> dict[str, Any]:
    """Intervals are over pairs, the anchors taken as given; a tie of both answers counts half."""
    near, far = similarities(_read(network, pairs, method.states), method.anchor)
    nearer = ((near - far).sign() + 1) / 2
    return {
        "pairs": len(pairs), "layer": method.layer, "pool": method.pool, "anchor": method.anchor,
        "chosen": _mean(near, "cosine").json(), "rejected": _mean(far, "cosine").json(),
        "nearer": _mean(nearer, "share").json(),
    }  # fmt: skip


@torch.no_grad()
def _read(network: nn.Module, pairs: Sequence[RowPair], states: States) -> Embeddings:
    parts = [pairs[first : first + AT_ONCE] for first in range(0, len(pairs), AT_ONCE)]
    found = [given(pair_embeddings(network, part, states).embeddings, "embeddings") for part in parts]
    return Embeddings(*(torch.cat([getattr(one, side) for one in found]) for side in ("chosen", "rejected", "prompt")))


def _mean(values: Tensor, unit: str) -> Measured:
    return mean(values.tolist(), over="pairs", unit=unit)
