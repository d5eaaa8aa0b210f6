"""Σ_line coefficient · gradient of a parameter, from the uses that were kept: one matrix product for all lines."""

from collections.abc import Sequence

import torch
from torch import Tensor

from springback.train.entanglement.alike import distinct, gathered, leads
from springback.train.entanglement.factors import Dense, Index, joined
from springback.train.entanglement.uses import Flat, Outer, Use


def weighted(use: Use, coefficients: Tensor, like: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """In the shape and dtype of `like`; `coefficients` by line, `groups` of lines that may begin alike."""
    lines = sorted(use.lines)
    if isinstance(use, Flat):
        return torch.tensordot(coefficients[lines].to(use.gradients), use.gradients[lines], dims=1).to(like.dtype)
    if use.looked_up:
        return _looked_up(use, lines, coefficients, like)
    there = [[line for line in group if line in use.lines] for group in groups]
    parts = [_weighted(use, group, coefficients) for group in there if group]
    left, right = (torch.cat(factors) for factors in zip(*parts, strict=True))
    common = torch.promote_types(left.dtype, right.dtype)
    return (left.to(common).T @ right.to(common)).to(like.dtype)


def _looked_up(use: Outer, lines: Sequence[int], coefficients: Tensor, like: Tensor) -> Tensor:
    places = joined([use.left[line] for line in lines])
    assert isinstance(places, Index)
    rows = torch.cat([use.right[line].values * float(coefficients[line]) for line in lines])
    return torch.zeros_like(like).index_add_(0, places.places, rows.to(like.dtype))


def _weighted(use: Outer, group: Sequence[int], coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right factors of a group's weighted sum; where the lines read alike, their signals are added first."""
    left, right = [_dense(use.left[line]).values for line in group], [use.right[line].values for line in group]
    swapped = _dense(use.left[group[0]]).source is not None
    read, back = (left, right) if swapped else (right, left)
    alike = leads(read)
    rows, signal = distinct(read, alike), gathered(back, coefficients[list(group)].tolist(), alike)
    return (rows, signal) if swapped else (signal, rows)


def _dense(factor: object) -> Dense:
    assert isinstance(factor, Dense)
    return factor
