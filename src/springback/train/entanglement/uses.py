"""What one call of a module contributes to the gradient of one of its parameters, line by line of the batch.

`Outer`: a matrix, as factors; `Flat`: a vector, whose gradients are small enough to be formed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float64
from torch import Tensor

from springback.train.entanglement.factors import Dense, Factor, Index, columns, joined, products
from springback.train.entanglement.stretches import accurate

CHUNK = 1 << 10
"""Elements of a gradient whose products are summed in float32 before float64 takes over."""
PIECES = 2
"""Of each line, where products of positions are made; 4 would save little more and make small matrix products."""
Table = Float64[Tensor, "line other_line"]


@dataclass(frozen=True, slots=True)
class Outer:
    """Σ_t left_t ⊗ right_t for each line; left runs along the parameter's first axis, right along its second."""

    left: Mapping[int, Factor]
    right: Mapping[int, Dense]

    @property
    def lines(self) -> set[int]:
        return set(self.right)

    def narrowed(self, places: Mapping[int, Tensor]) -> "Outer":
        """Only what a lookup of these places can meet; `places` by line."""
        together = torch.cat([places[line] for line in self.left])
        left = {line: columns(f, together) if isinstance(f, Dense) else f for line, f in self.left.items()}
        return Outer(left, self.right)

    def scaled(self, metric: Tensor) -> "Outer":
        """A lookup's use with its gradient multiplied by `metric` element by element."""
        rows = {line: metric[f.places] for line, f in self.left.items() if isinstance(f, Index)}
        return Outer(self.left, {line: Dense(accurate(self.right[line].values) * rows[line]) for line in self.left})

    @property
    def looked_up(self) -> bool:
        return all(isinstance(factor, Index) for factor in self.left.values())


@dataclass(frozen=True, slots=True)
class Flat:
    """The gradient itself for each line: [line, *parameter]."""

    gradients: Tensor
    lines: set[int]


Use = Outer | Flat


def own(use: Use, group: Sequence[int], *, metric: Tensor | None = None) -> Table:
    """Inner products among the lines of a group, [line, line], a matrix's by forming each line's gradient.

    `metric`: a diagonal preconditioner of the parameter's shape; the products are then ⟨x, P y⟩.
    """
    if isinstance(use, Flat) or use.looked_up:
        return cross(use, use, group, metric=metric)
    return _direct(use, use, group, metric)


def by_factors(use: Outer, group: Sequence[int], right: Sequence[Tensor]) -> Table:
    """The same of a matrix from its factors' products; `right` is `right_products(use, group)`."""
    lines = [factor.values for line in group if isinstance(factor := use.left[line], Dense)]
    sizes = [[len(piece) for piece in _cut(line)] for line in lines]
    flat = [size for line in sizes for size in line]
    table = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for number, (a, b) in enumerate(zip(_above(lines), right, strict=True)):
        table[number, number:] = blocks(a * b, flat[number : number + 1], flat[number:])[0]
    table += table.triu(1).T
    owner = torch.tensor([place for place, line in enumerate(sizes) for _ in line])
    owned = torch.nn.functional.one_hot(owner, len(group)).double()
    return owned.T @ table @ owned


def right_products(use: Outer, group: Sequence[int]) -> list[Tensor]:
    """Inner products of each piece of the lines' right factors with itself and the pieces behind it."""
    return _above([use.right[line].values for line in group])


def cross(one: Use, other: Use, group: Sequence[int], *, metric: Tensor | None = None) -> Table:
    """Inner products of one use's gradients, lines of a group, with another use's of the same parameter."""
    if isinstance(one, Flat) and isinstance(other, Flat):
        a, b = (use.gradients[list(group)].flatten(1).double() for use in (one, other))
        return ((a if metric is None else a * metric.flatten().double()) @ b.T).cpu()
    assert isinstance(one, Outer)
    assert isinstance(other, Outer)
    if metric is not None:
        if not one.looked_up and not other.looked_up:
            return _direct(one, other, group, metric)
        one, other = (one.scaled(metric), other) if one.looked_up else (one, other.scaled(metric))
    left = products(*(joined([use.left[line] for line in group]) for use in (one, other)))
    right = products(*(joined([use.right[line] for line in group]) for use in (one, other)))
    sizes = [[len(use.right[line].values) for line in group] for use in (one, other)]
    return blocks(right * left, *sizes)


def blocks(terms: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Table:
    """Sums over the positions of each line, in float64; `rows` and `columns` are the lines' positions."""
    edges = list(pairwise([0, *accumulate(columns)]))
    lines = [torch.stack([row[:, a:b].sum(dtype=torch.float64) for a, b in edges]) for row in terms.split([*rows])]
    return torch.stack(lines).cpu()


def cheaper_by_factors(use: Outer, group: Sequence[int], *, known: bool) -> bool:
    """Whether positions × positions products take fewer multiplications than forming a gradient for each line."""
    first, positions = use.left[group[0]], sum(len(use.right[line].values) for line in group)
    assert isinstance(first, Dense)
    rows, width = first.values.shape[1], use.right[group[0]].values.shape[1]
    pieces = PIECES * len(group)
    met = positions * positions * (pieces + 1) / (2 * pieces)
    return met * (rows + (0 if known else width)) <= positions * rows * width + len(group) * len(group) * rows * width


def along(use: Use, line: int, direction: Tensor) -> float:
    """⟨gradient of the line, direction⟩ without forming the gradient of a matrix."""
    if isinstance(use, Flat):
        return float((use.gradients[line].double() * direction).sum())
    left, right = use.left[line], accurate(use.right[line].values)
    if isinstance(left, Index):
        return float((direction[left.places] * right).sum(dtype=torch.float64))
    assert isinstance(left, Dense)
    return float(((right @ direction.T) * left.values).sum(dtype=torch.float64))


def _cut(values: Tensor) -> Sequence[Tensor]:
    """A line's positions in pieces: of the products of a line with itself, half are the other half again."""
    return values.split(-(-len(values) // PIECES) or 1)


def _above(lines: Sequence[Tensor]) -> list[Tensor]:
    """Products of each piece with itself and those behind it; the others are the same again."""
    pieces = [piece for line in lines for piece in _cut(accurate(line))]
    return [piece @ torch.cat(pieces[number:]).T for number, piece in enumerate(pieces)]


def _direct(one: Outer, other: Outer, group: Sequence[int], metric: Tensor | None) -> Table:
    """By forming each line's gradient, of one parameter at a time."""
    a = torch.stack([_formed(one, line) for line in group])
    b = a if one is other else torch.stack([_formed(other, line) for line in group])
    return _chunked(a if metric is None else a * metric, b)


def _formed(use: Outer, line: int) -> Tensor:
    left = use.left[line]
    assert isinstance(left, Dense)
    return accurate(left.values).T @ accurate(use.right[line].values)


def _chunked(a: Tensor, b: Tensor) -> Table:
    """[line, …] with [line, …]: products of chunks in the compute dtype, their sum in float64."""
    elements = a[0].numel()
    whole = elements // CHUNK * CHUNK
    x, y = a.flatten(1), b.flatten(1)
    parts = [t[:, :whole].unflatten(1, (-1, CHUNK)).transpose(0, 1) for t in (x, y)] if whole else []
    table = torch.bmm(parts[0], parts[1].mT).sum(dim=0, dtype=torch.float64) if parts else 0.0
    return (table + (x[:, whole:] @ y[:, whole:].T).double()).cpu()
