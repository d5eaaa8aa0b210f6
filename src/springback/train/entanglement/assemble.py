"""From products among stretches to products of a pair: the common prefix put back by sums."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from springback.models.rows import RowPair
from springback.train.entanglement.gram import PairGram, Products
from springback.train.entanglement.stretches import Triple

Table = Float64[Tensor, "stretch stretch"]


def pair_gram(pair: RowPair, cut: Triple, tables: Mapping[str, Table], logprobs: Sequence[float]) -> PairGram:
    """One pair's record from its stretches' products, parameter by parameter; both in the order of `cut.stretches`."""
    full = {name: _filled(table, cut) for name, table in tables.items()}
    chosen, rejected, prefix = _spread(logprobs, cut)
    return PairGram(
        parts={name: _products(_whole(table)) for name, table in full.items()},
        rest_parts={name: _products(table) for name, table in full.items()},
        prefix_square=float(sum(table[2, 2] for table in full.values())),
        prefix_tokens=cut.prefix_tokens,
        tokens=(len(pair.chosen.answer), len(pair.rejected.answer)),
        logprobs=(chosen + prefix, rejected + prefix),
    )


def _filled(table: Table, cut: Triple) -> Float64[Tensor, "three three"]:
    """Chosen rest, rejected rest, prefix; 0 where a stretch has no token."""
    present = torch.tensor([i for i, s in enumerate((cut.chosen, cut.rejected, cut.prefix)) if s is not None])
    full = torch.zeros(3, 3, dtype=torch.float64)
    if len(present):
        full[present[:, None], present] = table
    return full


def _whole(table: Float64[Tensor, "three three"]) -> Float64[Tensor, "two two"]:
    """Both answers with the prefix in front: g_w = g_rest + g_prefix."""
    with_prefix = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    return with_prefix @ table @ with_prefix.T


def _products(table: Float64[Tensor, "some some"]) -> Products:
    return Products(float(table[0, 0]), float(table[1, 1]), float(table[0, 1]))


def _spread(values: Sequence[float], cut: Triple) -> list[float]:
    """One value for each of chosen rest, rejected rest and prefix; 0 where there is no stretch."""
    given = iter(values)
    return [0.0 if stretch is None else next(given) for stretch in (cut.chosen, cut.rejected, cut.prefix)]
