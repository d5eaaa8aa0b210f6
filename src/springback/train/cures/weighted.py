"""Weights of the user's own for every token: a function of the two answers' token ids.

    weights(chosen_ids, rejected_ids) -> (numbers for the chosen tokens, numbers for the rejected ones)

They multiply log π_t in policy and reference alike. Called once for each pair before the first step.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from springback import papers
from springback.fit.loop import Optimizer
from springback.models.rows import RowPair
from springback.train.cures.masked import Mask, Masking
from springback.train.preference_step import Uncured

Weigh = Callable[[Sequence[int], Sequence[int]], tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Per-token weights by a callable."""

    paper: ClassVar = papers.ENTANGLEMENT
    sums_only: ClassVar = False

    weigh: Weigh
    """See the file's head; weights are finite and at least 0."""

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network, optimizer
        return _Weighing(self.weigh)


class _Weighing(Masking):
    def __init__(self, weigh: Weigh) -> None:
        super().__init__()
        self.weigh = weigh

    def mask(self, network: nn.Module, pair: RowPair) -> Mask:
        del network
        rows = pair.chosen, pair.rejected
        found = self.weigh(pair.chosen.answer, pair.rejected.answer)
        for row, weights in zip(rows, found, strict=True):
            if len(weights) != len(row.answer) or not all(0 <= weight < math.inf for weight in weights):
                raise ValueError(
                    f"weights must give {len(row.answer)} finite numbers of at least 0 for {len(row.answer)} tokens, "
                    f"got {list(weights)[:8]} ({len(weights)})"
                )
        chosen, rejected = (torch.tensor([float(weight) for weight in weights]) for weights in found)
        return chosen, rejected
