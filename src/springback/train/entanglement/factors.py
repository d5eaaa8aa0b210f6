"""A gradient of a matrix as a sum over positions of outer products, left ⊗ right, without forming it.

The inner product of two such gradients is Σ_ts (l_t · l'_s)(r_t · r'_s): all it needs is inner products of factors. A
factor is dense, or a one-hot vector given by its index (a lookup reads one row), or dense but kept in some columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.stretches import accurate


@dataclass(frozen=True, slots=True)
class Dense:
    """One vector a position, in the dtype in which the network made it."""

    values: Float[Tensor, "time width"]
    source: Tensor | None = None
    """The tensor that it is a view of: several layers may read the same one."""


@dataclass(frozen=True, slots=True)
class Index:
    """One-hot vectors: only the place of the 1."""

    places: Int[Tensor, " time"]


@dataclass(frozen=True, slots=True)
class Columns:
    """A dense factor of which only these columns were kept: it may meet an `Index` whose places are among them."""

    values: Float[Tensor, "time kept"]
    kept: Int[Tensor, " kept"]
    """Ascending."""


Factor = Dense | Index | Columns


def joined(factors: Sequence[Factor]) -> Factor:
    """Factors of one kind, one behind the other in time."""
    match factors[0]:
        case Index():
            return Index(torch.cat([f.places for f in factors if isinstance(f, Index)]))
        case Columns(kept=kept):
            return Columns(torch.cat([f.values for f in factors if isinstance(f, Columns)]), kept)
        case Dense():
            return Dense(torch.cat([f.values for f in factors if isinstance(f, Dense)]))


def products(one: Factor, other: Factor) -> Float[Tensor, "time other_time"]:
    """All inner products between positions, in float32 at least."""
    match one, other:
        case Dense(), Dense():
            return accurate(one.values) @ accurate(other.values).T
        case Index(), Index():
            return (one.places[:, None] == other.places).to(torch.float32)
        case (Dense(), Index()):
            return accurate(one.values)[:, other.places]
        case (Columns(), Index()):
            found = torch.searchsorted(one.kept, other.places).clamp_max(len(one.kept) - 1)
            if not torch.equal(one.kept[found], other.places):
                raise UnknownModuleError("A tied tensor (it is looked up at other places than the input's tokens)")
            return accurate(one.values)[:, found]
        case (Index(), _):
            return products(other, one).T
        case _:
            raise AssertionError(f"no product of {type(one).__name__} and {type(other).__name__}")


def columns(factor: Dense, places: Int[Tensor, " place"]) -> Columns:
    """Keep only what an `Index` with these places can ask for."""
    kept = places.unique()
    return Columns(factor.values[:, kept], kept)
