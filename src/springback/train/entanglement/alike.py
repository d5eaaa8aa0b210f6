"""What the lines of a pair read alike: a causal network makes the same of the same beginning, once is enough.

Rows count as alike only where they are equal bit for bit, so nothing changes but the time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Rows(NamedTuple):
    """Several lines' rows without those that a line's beginning shares with the first line."""

    values: Float[Tensor, "row width"]
    places: list[Int[Tensor, " position"]]
    """Of every line's positions among the rows."""


def lead(first: Float[Tensor, "time width"], other: Float[Tensor, "other_time width"]) -> int:
    """How many positions both lines begin with alike."""
    both = min(len(first), len(other))
    same = (first[:both] == other[:both]).all(dim=1)
    return both if bool(same.all()) else int(same.long().argmin())


def distinct(lines: Sequence[Tensor]) -> Rows:
    """Rows of all lines, what a line shares with the first one only once."""
    leads = [0, *(lead(lines[0], line) for line in lines[1:])]
    places, start = [], 0
    for line, alike in zip(lines, leads, strict=True):
        rest = len(line) - alike
        places.append(torch.cat([torch.arange(alike), torch.arange(start, start + rest)]).to(line.device))
        start += rest
    return Rows(torch.cat([line[alike:] for line, alike in zip(lines, leads, strict=True)]), places)


def gathered(rows: Rows, lines: Sequence[Float[Tensor, "time width"]]) -> Float[Tensor, "row width"]:
    """Sums of the lines' values at equal rows."""
    whole = lines[0].new_zeros(len(rows.values), lines[0].shape[1])
    for places, line in zip(rows.places, lines, strict=True):
        whole.index_add_(0, places, line)
    return whole
