"""Inner products of the gradients g = ∇_θ log π(y|x) of a pair's two answers: what entanglement is measured by.

    ww = ‖g_w‖²        ll = ‖g_l‖²        wl = ⟨g_w, g_l⟩        nats² for each unit² of the parameters

The log-probability is summed over the answer, its stop token included, as `models.score.token_logprobs` counts it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

PerPair = Float64[Tensor, " pair"]


class Products(NamedTuple):
    """The three inner products of one pair, over all parameters or over one of them."""

    ww: float
    """‖g_w‖², chosen with itself; ≥ 0."""
    ll: float
    """‖g_l‖², rejected with itself; ≥ 0."""
    wl: float
    """⟨g_w, g_l⟩; what a push on one answer does to the other."""

    @classmethod
    def sum(cls, parts: Iterable["Products"]) -> "Products":
        """Over parameters: products add."""
        columns = list(zip(*parts, strict=True)) or [(), (), ()]
        return cls(*map(fsum, columns))


ZERO = Products(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PairGram:
    """One pair's inner products; parts by parameter sum to the whole, a tied tensor's cross terms in its one part."""

    parts: Mapping[str, Products]
    """By parameter name, as `network.named_parameters()` has it; parameters without a gradient are left out."""
    rest_parts: Mapping[str, Products]
    """The same for the answers behind their common prefix: leading tokens that both answers share count in neither."""
    prefix_square: float
    """‖g_p‖² of the common prefix alone; 0 where there is none."""
    prefix_tokens: int
    """Leading tokens that both answers share."""
    tokens: tuple[int, int]
    """Of the chosen and the rejected answer, stop included."""
    logprobs: tuple[float, float]
    """log π of both answers, nats."""
    whole: Products = field(init=False)
    rest: Products = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", Products.sum(self.parts.values()))
        object.__setattr__(self, "rest", Products.sum(self.rest_parts.values()))

    @property
    def ww(self) -> float:
        return self.whole.ww

    @property
    def ll(self) -> float:
        return self.whole.ll

    @property
    def wl(self) -> float:
        return self.whole.wl

    @property
    def identical(self) -> bool:
        """Both answers are the same tokens: their gradients are one."""
        return self.tokens == (self.prefix_tokens, self.prefix_tokens)


@dataclass(frozen=True, slots=True)
class Inner:
    """What `inner_products` found, pair by pair in the given order."""

    pairs: list[PairGram]
    note: str | None
    """Why the plain way was taken although the quick one was allowed; None where it was not, or was asked for."""


class Grams(NamedTuple):
    """The inner products of several pairs as tensors, for `conditions` and for cures."""

    ww: PerPair
    ll: PerPair
    wl: PerPair

    @classmethod
    def of(cls, products: Sequence[Products]) -> "Grams":
        """From `[pair.whole for pair in inner.pairs]`, or `.rest`, or one parameter's."""
        table = torch.tensor(products, dtype=torch.float64).reshape(-1, 3)
        return cls(*table.unbind(dim=1))
