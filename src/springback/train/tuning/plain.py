"""Supervised fine-tuning with nothing held back: the way that an alignment is undone in the paper's own experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from springback import papers
from springback.models.rows import Row
from springback.train.sft import summed
from springback.train.tuning.method import TuningLoss


@dataclass(frozen=True, slots=True)
class Plain:
    """−Σ log p(answer, stop token | prompt)."""

    paper: ClassVar = papers.INSTRUCT

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del network, rows, before
        return summed
