"""What the lines of a pair read alike: a causal network makes the same of the same beginning, once is enough.

Rows count as alike only where they are equal bit for bit, so nothing changes but the time.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Line = Float[Tensor, "_time width"]


def leads(lines: Sequence[Line]) -> list[int]:
    """How many positions each line begins with as the first line does; 0 for the first itself."""
    return [0, *(_lead(lines[0], line) for line in lines[1:])]


def distinct(lines: Sequence[Line], alike: Sequence[int]) -> Line:
    """Rows of all lines, what a line shares with the first one only once."""
    return torch.cat([line[count:] for line, count in zip(lines, alike, strict=True)])


def gathered(lines: Sequence[Line], scales: Sequence[float], alike: Sequence[int]) -> Line:
    """Scaled rows in the order of `distinct`, added up where the rows are one."""
    first = lines[0] * scales[0]
    for line, scale, count in zip(lines[1:], scales[1:], alike[1:], strict=True):
        first[:count].add_(line[:count], alpha=scale)
    rest = [line[n:] * c for line, c, n in zip(lines[1:], scales[1:], alike[1:], strict=True)]
    return torch.cat([first, *rest])


def _lead(first: Line, other: Line) -> int:
    both = min(len(first), len(other))
    same = (first[:both] == other[:both]).all(dim=1)
    return both if bool(same.all()) else int(same.long().argmin())
