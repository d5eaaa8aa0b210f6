"""Read, train, keep, step by step; resume at the last checkpoint with the same records.

Knows neither torch nor models: a `Laboratory` does the work, so a stand-in of known law can take its place. A step or
a reading that is stored is not stored again: after an interruption the steps behind the last checkpoint are taken
again, to the same bits. Checkpoints come by steps and by time, so a kill loses about a minute; no record tells when.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.progress import Progress
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.falls import fall
from springback.experiments.saving import Due
from springback.store.run import Run

Record = tuple[str, str, Mapping[str, Any]]
"""Kind, key and body of one record."""


@runtime_checkable
class Laboratory(Protocol):
    """What the experiment needs of a model. Every method is deterministic given the step."""

    @property
    def total(self) -> int:
        """Optimiser steps of the whole run."""
        ...

    def restore(self) -> int:
        """Put the weights of the last checkpoint on the bench, or the start; how many steps lie behind them."""
        ...

    def train(self, step: int) -> Mapping[str, Any]:
        """Take optimiser step `step` (from 0); the body of its record."""
        ...

    def read(self, step: int) -> Iterable[Record]:
        """Records of where the model stands after so many steps."""
        ...

    def keep(self, step: int) -> None:
        """Make the weights after so many steps durable."""


def walk(
    design: Design, run: Run, laboratory: Laboratory, progress: Progress, *, due: Due | None = None
) -> Iterator[int]:
    """Yield the number of steps behind the model, after each of them. `due`: the clock of checkpoints by time."""
    total, readings = laboratory.total, set(design.readings(laboratory.total))
    due = due or Due(design.checkpoint_seconds)
    step = restored = laboratory.restore()
    while True:
        if step in readings and run.get("read", str(step)) is None:
            _read(run, laboratory, step, progress)
        if step == total:
            return
        if step > restored and (step % design.checkpoint_every == 0 or due.now):
            with due.saving():
                laboratory.keep(step)
        with due.work():
            _train(run, laboratory, step, progress)
        step += 1
        yield step


def _train(run: Run, laboratory: Laboratory, step: int, progress: Progress) -> None:
    began = time.monotonic()
    with progress.work("step", label=f"step {step + 1} of {laboratory.total}"):
        body = laboratory.train(step)
    if run.get("step", str(step)) is None:
        run.append("step", str(step), body, cost={"seconds": time.monotonic() - began})


def _read(run: Run, laboratory: Laboratory, step: int, progress: Progress) -> None:
    began = time.monotonic()
    with progress.work("read", label=f"after {step} steps"):
        found = list(laboratory.read(step))
    with run.together():
        for kind, key, body in found:
            run.append(kind, key, body)
            fallen = fall(body) if kind == "reading" else None
            if fallen is not None and run.get("warning", fallen["name"]) is None:
                run.append("warning", fallen["name"], fallen)
        run.append("read", str(step), {"step": step}, cost={"seconds": time.monotonic() - began})
