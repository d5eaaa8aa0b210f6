"""NLL anchor (Pang et al., 2024, IRPO; in RPO's name too): the chosen answer is also learned, whatever the margin does.

    ℓ' = ℓ − weight · log π(y_w) / |y_w|            d_w' = d_w + weight / |y_w|,   d_l' = d_l

It does not guarantee that the margin grows: at q = d_w/d_l large enough a step shrinks it (the general condition).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from springback import papers
from springback.fit.loop import Optimizer
from springback.train.preference_step import Batch, PairedLoss, Uncured


@dataclass(frozen=True, slots=True)
class Anchor:
    """Adds the chosen answer's mean negative log-probability to any loss of pairs."""

    paper: ClassVar = papers.RPO
    sums_only: ClassVar = False

    weight: float = 1.0
    """Of the mean −log π per chosen token, in units of the loss for a nat."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be greater than 0 (0 is the loss itself), got {self.weight}")

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network, optimizer
        return Anchored(self.weight)


class Anchored(Uncured):
    """An anchor at work."""

    needs = frozenset({"lengths"})

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def losses(self, batch: Batch, loss: PairedLoss, policy: Any, reference: Any) -> Tensor:
        return super().losses(batch, loss, policy, reference) - self.weight * policy.mean.chosen
