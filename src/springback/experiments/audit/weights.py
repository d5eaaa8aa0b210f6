"""The weights on the bench: put there, tuned, kept, taken from a checkpoint again.

Full tuning computes in the network's type and keeps fp32 masters; LoRA trains an adapter beside frozen weights, and
its start is the same network with the adapter off (a copy of its own where MODEL came aligned: then the frozen weights
under the adapter are MODEL's or the start's, whichever a chain begins from). Either way every chain begins from a
checkpoint: the start's, that of a MODEL that came aligned, or that of a point on an earlier chain.
"""

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from springback.experiments.audit.grid import GIVEN, Point, Station
from springback.fit.checkpoint import Checkpoint, load, remove, save
from springback.fit.checks import STEPS, FirstSteps, Moved
from springback.fit.loop import Step
from springback.fit.masters import MasterAdamW
from springback.models.adapters import put_under, start_view
from springback.models.rows import Row
from springback.train.recipe import SFT
from springback.train.sft import tune
from springback.train.tuning.method import TuningLoss


@dataclass(slots=True)
class Weights:
    """One network that takes the weights of every point in turn."""

    network: nn.Module
    optimizer: MasterAdamW | None
    """None where nothing is trained: the network then is the point that came aligned, or the start."""
    start_network: nn.Module | None
    """The start's own copy; None where the start is `network` with its adapter off."""
    folder: Path
    """Where checkpoints lie."""
    tuner: Literal["full", "lora"] = "full"
    given: nn.Module | None = None
    """A MODEL that came aligned, where nothing is trained or an adapter is trained on it."""
    moved: Moved | None = None
    """What the first steps of this call did; None until they were taken."""
    _steps: int = 0
    _on_bench: nn.Module | None = None
    _intact: set[str] = field(default_factory=set)

    def begin(self, origin: Station | None) -> None:
        """Put the weights of `origin` (None: the start) on the bench, with a fresh optimiser state."""
        self._steps = 0
        if self.optimizer is None:
            self._on_bench = self.network if origin is None else self.given
            return
        found = load(self.path(origin), verified=self.path(origin).name in self._intact)
        if not isinstance(found, Checkpoint):
            raise FileNotFoundError(f"checkpoint of {self.path(origin).name}: {found.why}")
        self._on_bench = self.network
        if self.tuner == "lora" and self.given is not None and self.start_network is not None:
            put_under(self.network, self.given if came_aligned(origin) else self.start_network)
        self.optimizer.load(found.tensors)
        give_back()

    def tune(self, rows: Sequence[Row], sft: SFT, loss: TuningLoss | None = None) -> Iterator[Step]:
        """Go on tuning on `rows`, in their order."""
        assert self.optimizer is not None
        steps = tune(self.network, self.optimizer, rows, sft, first_step=self._steps, loss=loss)
        for step in self._watched(steps):
            self._steps += 1
            yield step

    def settle(self) -> None:
        """Free the moments, 8 bytes a trained parameter: what is read next needs the room, not them."""
        if self.optimizer is not None:
            self.optimizer.free_moments()
            give_back()

    def keep(self, point: Station | None) -> None:
        """Save the masters (or the adapter), durable on return."""
        assert self.optimizer is not None
        save(self.path(point), self.optimizer.state(moments=False), {"point": "start" if point is None else point.id})
        self._intact.add(self.path(point).name)

    def kept(self, point: Station | None) -> bool:
        """Whether there is an intact checkpoint of a point; verified once a call."""
        name = self.path(point).name
        if name not in self._intact and isinstance(load(self.path(point)), Checkpoint):
            self._intact.add(name)
        return name in self._intact

    def forget(self, point: Station) -> None:
        """Delete the checkpoint of a point that no chain begins from any more."""
        self._intact.discard(self.path(point).name)
        remove(self.path(point))

    def release(self) -> None:
        """Delete all checkpoints of the run."""
        remove(self.folder)

    def path(self, point: Station | None) -> Path:
        return self.folder / ("start" if point is None else point.id.replace("/", "-"))

    def start(self) -> AbstractContextManager[nn.Module]:
        """The start's network, while the context lasts."""
        return nullcontext(self.start_network) if self.start_network is not None else start_view(self.network)

    @contextmanager
    def reading(self) -> Iterator[nn.Module]:
        """The network on the bench, for measuring only."""
        network = self._on_bench or self.network
        network.eval()
        with torch.no_grad():
            yield network

    def _watched(self, steps: Iterable[Step]) -> Iterable[Step]:
        if self.optimizer is None or (self.moved is not None and self.moved.ok):
            return steps
        return self._watch(FirstSteps(self.optimizer, STEPS[self.tuner]), steps)

    def _watch(self, first: FirstSteps, steps: Iterable[Step]) -> Iterator[Step]:
        for step in first.watch(steps):
            self.moved = first.report
            yield step


def came_aligned(point: Station | None) -> bool:
    """Whether a point's weights are those of a MODEL that came aligned, or tuned from them."""
    return isinstance(point, Point) and point.aligned == GIVEN


def give_back() -> None:
    """Return freed memory to the system where the C library can (glibc): it keeps what might be asked for again."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
