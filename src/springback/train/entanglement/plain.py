"""Inner products the obvious way: one backward pass for each answer, whole gradients in memory, and their dot products.

The reference that the quick way is held to, and what is done where a module is not known. Memory: a gradient of all
counted parameters for each of a pair's answers, and one more where the answers begin alike. Time: a forward and a whole
backward pass for each.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from springback.models.readout import read
from springback.models.rows import RowPair
from springback.tensors.inner_product import inner_product
from springback.train.entanglement.assemble import pair_gram
from springback.train.entanglement.gram import PairGram
from springback.train.entanglement.stretches import Stretch, accurate, padded, triple
from springback.train.entanglement.tables import Metric
from springback.train.entanglement.tape import only_gradients_of


class Gradient(NamedTuple):
    """Of one stretch."""

    logprob: float
    """nats"""
    tensors: Mapping[str, Tensor]
    """By parameter name; parameters that it does not reach are left out."""


def plain_products(
    network: nn.Module, pairs: Sequence[RowPair], names: Collection[str], *, metric: Metric | None = None
) -> list[PairGram]:
    """The inner products of every pair over the named parameters."""
    return [_pair(network, pair, names, metric or {}) for pair in pairs]


def gradient(network: nn.Module, stretch: Stretch, names: Collection[str]) -> Gradient:
    """∇ log π of one stretch with respect to the named parameters, by a backward pass of its own."""
    with only_gradients_of(network, names) as weights, torch.enable_grad():
        logprob = summed_logprob(network, stretch)
        found = torch.autograd.grad(logprob, list(weights.values()), allow_unused=True)
    return Gradient(logprob.item(), {name: g for name, g in zip(weights, found, strict=True) if g is not None})


def summed_logprob(network: nn.Module, stretch: Stretch) -> Tensor:
    """Σ log π of the stretch's tokens in nats, float64, with its graph."""
    inputs = padded(network, [stretch])
    reading = read(network, inputs.arguments, inputs.wanted)
    (logits,) = reading.logits(max(1, len(stretch)))
    targets = torch.tensor(stretch.targets, device=logits.device)
    return accurate(logits).log_softmax(dim=-1).gather(-1, targets[:, None]).sum(dtype=torch.float64)


def _pair(network: nn.Module, pair: RowPair, names: Collection[str], metric: Metric) -> PairGram:
    cut = triple(pair)
    found = [gradient(network, stretch, names) for stretch in cut.stretches]
    reached = [name for name in names if any(name in each.tensors for each in found)]
    tables = {name: _table([each.tensors.get(name) for each in found], metric.get(name)) for name in reached}
    return pair_gram(pair, cut, tables, [each.logprob for each in found])


def _table(tensors: Sequence[Tensor | None], metric: Tensor | None) -> Tensor:
    """All inner products among the stretches' gradients of one parameter, float64."""
    scaled = [t if t is None or metric is None else t * metric for t in tensors]
    products = [[0.0 if a is None or b is None else inner_product(a, b) for b in tensors] for a in scaled]
    return torch.tensor(products, dtype=torch.float64)
