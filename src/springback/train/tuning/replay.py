"""Rehearsal (Robins 1995; Rolnick et al. 2019): rows that aligned the model are trained on again beside the new ones.

Row i of the new ones takes ⌊(i + 1)·share⌋ − ⌊i·share⌋ old rows with it into its batch, the old ones in their order and
over again. One step stays one step; its tokens grow. Where the weights were not tuned on anything before (the start),
there is nothing to replay and the step is a plain one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import ClassVar

from torch import nn

from springback import papers
from springback.fit.loop import Summed
from springback.models.rows import Row
from springback.train.sft import summed
from springback.train.tuning.method import TuningLoss


@dataclass(frozen=True, slots=True)
class Replay:
    """Plain tuning on new and old rows together."""

    paper: ClassVar = papers.REHEARSAL

    share: float = 1.0
    """Old rows for each new one."""

    def __post_init__(self) -> None:
        if not 0 < self.share < math.inf:
            raise ValueError(f"share must be a number above 0 (0 is plain tuning), got {self.share}")

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del network
        taken = dict(zip(rows, self.beside(len(rows), before), strict=True))

        def loss(network: nn.Module, batch: Sequence[Row]) -> Summed:
            return summed(network, [*batch, *(old for row in batch for old in taken[row])])

        return loss

    def beside(self, rows: int, before: Sequence[Row]) -> list[list[Row]]:
        """The old rows that go with each of `rows` new ones."""
        ends = [int(i * self.share) for i, _ in zip(count(), range(rows + 1), strict=False)]
        return [[before[j % len(before)] for j in range(*span)] if before else [] for span in pairwise(ends)]
