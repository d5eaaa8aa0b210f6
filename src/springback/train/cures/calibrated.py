"""Reward calibration (Chen et al., 2026): one ratio for all pairs, followed over the run, puts d_w : d_l into the
middle of the band of its mean pair.

    δ² = (mean ‖g_l‖ / mean ‖g_w‖) / (mean d_w / mean d_l)        log δ² as a moving average
    d_w' = δ d_w,   d_l' = d_l / δ

Departures: norms are exact, over all trained parameters and pair by pair, where the release takes the gradient of a
batch's mean log-probability over head or adapter only; the average of earlier steps is used, so that micro-batches
change nothing, and the first step is uncalibrated. A single ratio need not lie in the band of any one pair.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from springback import papers
from springback.fit.loop import Optimizer
from springback.models.rows import RowPair
from springback.train.entanglement.cured_step import cured_step
from springback.train.entanglement.gram import Grams
from springback.train.entanglement.weights import Weights
from springback.train.preference_step import Batch, PairedLoss, Read, Taken, Uncured


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Rescales both pushes by one running ratio."""

    paper: ClassVar = papers.BAND
    sums_only: ClassVar = True

    decay: float = 0.98
    """Of the moving average of log δ², per optimiser step."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}")

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network, optimizer
        return Calibrating(self.decay)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The cure of one step: every pair's pushes times δ and 1/δ."""

    log_square: float

    def __call__(self, grams: Grams, weights: Weights) -> Weights:
        del grams
        delta = math.exp(self.log_square / 2)
        return Weights(weights.chosen * delta, weights.rejected / delta)

    def counts(self, grams: Grams, weights: Weights) -> dict[str, int]:
        del grams, weights
        return {}


class Calibrating(Uncured):
    """Calibration at work: `mean` is the average of log δ², None before the first step."""

    def __init__(self, decay: float) -> None:
        self.decay, self.mean = decay, torch.tensor(math.nan, dtype=torch.float64)
        self.seen: list[Tensor] = []
        self.note: str | None = None

    def __call__(self, network: nn.Module, batch: Batch, loss: PairedLoss, reference: Any, read: Read) -> Taken:
        del read
        pairs = [item for item in batch.items if isinstance(item, RowPair)]
        step = cured_step(network, pairs, loss, reference, Ratio(self._log_square()))
        norms = torch.stack([step.grams.ww.clamp_min(0).sqrt(), step.grams.ll.clamp_min(0).sqrt()])
        self.seen.append(torch.cat([norms, torch.stack([step.before.chosen, step.before.rejected]).double()]))
        self.note = step.note
        return Taken(step.summed.total, step.policy)

    def advance(self) -> None:
        """The means are over the pairs of the whole batch. A step whose ratio is not positive teaches nothing."""
        chosen, rejected, up, down = torch.cat(self.seen, dim=1).mean(dim=1)
        self.seen.clear()
        if min(chosen, rejected) > 0 and up * down > 0:
            found = torch.log(rejected / chosen) - torch.log(up / down)
            first = bool(self.mean.isnan())
            self.mean = found if first else self.decay * self.mean + (1 - self.decay) * found

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def restore(self, tensors: Any) -> None:
        self.mean = tensors["mean"]

    def told(self) -> dict[str, Any]:
        told = {"delta": math.exp(self._log_square() / 2)}
        return told | ({"note": self.note} if self.note else {})

    def _log_square(self) -> float:
        return 0.0 if bool(self.mean.isnan()) else float(self.mean)
