"""Train, read, keep; resume at the checkpoint. Knows neither torch nor models: a `Bench` does the work.

A step's record and a reading's are durable when they are yielded. What lies between the checkpoint and a kill is done
again, to the same bits, and not stored twice.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from springback.experiments.reward.config import Design
from springback.experiments.reward.measures import brief
from springback.store.run import Run


@runtime_checkable
class Stepped(Protocol):
    """What one optimiser step says of itself."""

    @property
    def index(self) -> int: ...

    @property
    def loss(self) -> float:
        """Mean over the step's prompts, before the step: nats."""
        ...

    @property
    def gradient_norm(self) -> float: ...

    @property
    def examples(self) -> int: ...

    @property
    def tokens(self) -> int: ...


@runtime_checkable
class Bench(Protocol):
    """What the experiment needs of a model. Deterministic, whatever was stopped in between."""

    @property
    def steps(self) -> int:
        """Of the whole run."""
        ...

    @property
    def training(self) -> Sequence[Any]: ...

    @property
    def held_out(self) -> Sequence[Any]: ...

    def resumed(self) -> int:
        """Put the last kept state on the bench; the steps behind it, 0 where there is none."""
        ...

    def train(self, first: int) -> Iterator[Stepped]:
        """Optimiser steps from this one on."""
        ...

    def keep(self, step: int) -> None:
        """Make the state after so many steps durable."""

    def read(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """`scores`, `relevance` and `tokens` of the answers of each row."""
        ...


def walk(design: Design, run: Run, bench: Bench) -> Iterator[Stepped]:
    """Yield each step once its record is durable."""
    readings, checkpoints = design.readings(bench.steps), design.checkpoints(bench.steps)
    first = bench.resumed()
    if first == 0:
        _read(design, run, bench, 0)
    if first == bench.steps:
        return
    began = time.monotonic()
    for step in bench.train(first):
        done = step.index + 1
        if run.get("step", str(step.index)) is None:
            run.append("step", str(step.index), _body(design, step), cost={"seconds": time.monotonic() - began})
        if done in readings:
            _read(design, run, bench, done)
        if done in checkpoints:
            bench.keep(done)
        yield step
        began = time.monotonic()


def _read(design: Design, run: Run, bench: Bench, step: int) -> None:
    if run.get("reading", str(step)) is not None:
        return
    began = time.monotonic()
    parts = {"held_out": bench.held_out, "training": bench.training}
    found = {name: brief(bench.read(rows[: design.evaluate_on])) for name, rows in parts.items()}
    run.append("reading", str(step), {"step": step, **found}, cost={"seconds": time.monotonic() - began})


def _body(design: Design, step: Stepped) -> Mapping[str, Any]:
    rate = design.learning_rate * min(1.0, (step.index + 1) / (design.warmup_steps + 1))
    return {
        "step": step.index, "loss": step.loss, "gradient_norm": step.gradient_norm, "examples": step.examples,
        "tokens": step.tokens, "learning_rate": rate,
    }  # fmt: skip
