"""What a cure states about itself, and how one begins."""

from typing import ClassVar, Protocol, runtime_checkable

from torch import nn

from springback.fit.loop import Optimizer
from springback.papers import Paper
from springback.train.preference_step import Uncured


@runtime_checkable
class Cure(Protocol):
    """A frozen dataclass whose fields are its options."""

    paper: ClassVar[Paper]
    sums_only: ClassVar[bool]
    """It gives the loss sums and lengths only: a loss that reads tokens or whole distributions is refused."""

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        """The cure at work in one run of this network under this optimiser."""
        ...
