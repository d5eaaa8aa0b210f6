"""Cut, write, tune, read: every model's answers, then every model onto every other one's; resume at the record.

Knows neither torch nor models: a `Laboratory` does the work, so a stand-in of known law can take its place. What a
model writes is stored in one transaction, a training with all its readings in another, its `cell` last; what is stored
is never done again. The slices are one chain: after an interruption it is tuned again from the base, to the same bits.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.progress import Progress
from springback.experiments.resist.cell import cell
from springback.experiments.resist.config import Design, Training
from springback.store.run import Run

Record = tuple[str, str, Mapping[str, Any]]
"""Kind, key and body of one record."""


@runtime_checkable
class Stepped(Protocol):
    """What one optimiser step says of itself."""

    @property
    def loss(self) -> float:
        """Of the batch before the step: nats per answer token."""
        ...


@runtime_checkable
class Laboratory(Protocol):
    """What the experiment needs of a model. Every method is deterministic given seed and numbers."""

    def begin(self, seed: int, slices: int) -> None:
        """Put the model after so many slices (0: the base) on the bench, with a fresh optimiser state."""

    def slice(self, seed: int, number: int) -> Iterator[Stepped]:
        """Train on a slice (from 1), one optimiser step a yield."""
        ...

    def keep(self, seed: int, slices: int) -> None:
        """Make the weights on the bench durable, as those after so many slices."""

    def kept(self, seed: int, slices: int) -> bool:
        """Whether intact weights of this model are there; those of the base always are."""
        ...

    def write(self, seed: int, slices: int) -> Iterable[Record]:
        """`sample` records of what the model on the bench writes, then its `target` record (own bits, tokens)."""
        ...

    def aim(self, training: Training) -> None:
        """Make ready for the training: target known, start on the bench with a fresh optimiser state."""

    def train(self, training: Training, first: int, last: int) -> Iterator[Stepped]:
        """Optimiser steps [first, last) on the target's answers, one a yield."""
        ...

    def read(self, training: Training, step: int) -> Mapping[str, Any]:
        """Body of a `reading`: `excess` and `kl` in bits by held-out document, `kl_from_target`, `kl_from_base`."""
        ...


def walk(design: Design, run: Run, laboratory: Laboratory, progress: Progress) -> Iterator[str]:
    """Yield the id of each training as it becomes complete, stored ones first."""
    done = set(run.keys("cell"))
    yield from (identity for identity in design.cells if identity in done)
    for seed in design.seeds:
        missing = [training for training in design.trainings(seed) if training.id not in done]
        if missing:
            _models(design, seed, run, laboratory, progress)
        for training in missing:
            _train(design, training, run, laboratory, progress)
            yield training.id


def _models(design: Design, seed: int, run: Run, laboratory: Laboratory, progress: Progress) -> None:
    """Every model of a seed is kept and has written."""
    missing = [
        number
        for number in range(design.slices + 1)
        if run.get("target", f"{seed}/{number}") is None or not laboratory.kept(seed, number)
    ]
    if not missing:
        return
    laboratory.begin(seed, 0)
    for number in range(max(missing) + 1):
        if number:
            steps = laboratory.slice(seed, number)
            for _ in progress.steps(steps, examples=design.slice_size, label=f"{seed}/slice {number}"):
                pass
            if not laboratory.kept(seed, number):
                laboratory.keep(seed, number)
        if run.get("target", f"{seed}/{number}") is None:
            with progress.work("write", label=f"{seed}/θ{number}"), run.together():
                for kind, key, body in laboratory.write(seed, number):
                    run.append(kind, key, body)


def _train(design: Design, training: Training, run: Run, laboratory: Laboratory, progress: Progress) -> None:
    began, before, losses, readings = time.monotonic(), 0, [], []
    laboratory.aim(training)
    for step in design.readings:
        steps = laboratory.train(training, before, step)
        examples = (step - before) * design.batch
        losses += [done.loss for done in progress.steps(steps, examples=examples, label=training.id)]
        with progress.work("read", label=training.id):
            readings.append({"cell": training.id, "step": step, **laboratory.read(training, step)})
        before = step
    with run.together():
        for reading in readings:
            run.append("reading", f"{training.id}/{reading['step']}", reading)
        target = run.get("target", f"{training.seed}/{training.target}") or {}
        body = cell(training, design, target, readings, losses)
        run.append("cell", training.id, body, cost={"seconds": time.monotonic() - began})
