"""One loop for several adapters that share a network: one forward and backward pass for all, one step for each.

Each adapter has its own batches, learning rate, warm-up, clipping, micro-batches and tokens, and ends when its batches
end. A round takes one step of every adapter that is left; its losses are summed for one backward pass, and since no
adapter's rows reach another's factors, each gradient is that of its own loss. What each adapter does is what `fit`
does with it alone, but for the rounding of products over more rows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from springback.fit.loop import Batch, Fit, NonFiniteError, Step, Summed

Losses = Callable[[Sequence[Any]], Sequence[Summed | None]]
"""From one micro-batch of each adapter (None: it has none) to one sum of each, with a graph that all share."""


@runtime_checkable
class StackedOptimizer(Protocol):
    """What the loop asks; `fit.stacked_adamw.StackedAdamW` is one."""

    def norm(self, index: int) -> float:
        """Norm of all gradients of one adapter together."""
        ...

    def faulty(self, index: int) -> list[str]:
        """Names of its tensors whose gradient is not finite."""
        ...

    def step(self, index: int, *, lr: float, scale: float) -> None:
        """Move one adapter by its gradients times `scale`."""

    def discard(self) -> None:
        """Drop all gradients."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one adapter is to go through."""

    name: str
    """What errors call it."""
    batches: Iterable[Batch]
    """Its micro-batches."""
    config: Fit
    first_step: int = 0
    first_row: int = 0


class AdapterNonFiniteError(NonFiniteError):
    """A loss or gradient of one adapter was not finite. All adapters are as they were before this round."""

    def __init__(self, adapter: int, name: str, index: int, rows: range, what: str) -> None:
        super().__init__(index, rows, f"adapter {name}: {what}")
        self.adapter = adapter


@dataclass(slots=True)
class _Round:
    """One adapter in one round."""

    adapter: int
    course: Course
    index: int
    first_row: int
    group: list[Batch]
    total: float = 0.0
    weight: float = 0.0
    tokens: int = 0
    norm: float = 0.0

    @property
    def rows(self) -> range:
        return range(self.first_row, self.first_row + sum(map(len, self.group)))

    def refused(self, what: str) -> AdapterNonFiniteError:
        return AdapterNonFiniteError(self.adapter, self.course.name, self.index, self.rows, what)


@dataclass(slots=True)
class _Runner:
    """How far one adapter has come."""

    adapter: int
    course: Course
    remaining: Iterator[Batch] = field(init=False)
    index: int = field(init=False)
    row: int = field(init=False)

    def __post_init__(self) -> None:
        self.remaining, self.index, self.row = iter(self.course.batches), self.course.first_step, self.course.first_row

    def next(self) -> _Round | None:
        """The micro-batches of its next step; None at the end."""
        size = self.course.config.accumulate
        if not (group := list(islice(self.remaining, size))):
            return None
        if len(group) < size:
            raise ValueError(
                f"Adapter {self.course.name}: the batches end inside a step: {len(group)} of {size} are left."
            )
        made = _Round(self.adapter, self.course, self.index, self.row, group)
        self.index, self.row = self.index + 1, made.rows.stop
        return made


def fit_stacked(losses: Losses, courses: Sequence[Course], optimizer: StackedOptimizer) -> Iterator[dict[int, Step]]:
    """Yield, round by round, the `Step` of each adapter that took one, until the batches of all have ended.

    `AdapterNonFiniteError` names the adapter whose loss or gradient is not finite; no adapter has then moved in this
    round. `ValueError` where an adapter's batches end inside a step, or no token of its step is under the loss.
    """
    runners = [_Runner(adapter, course) for adapter, course in enumerate(courses)]
    while rounds := {runner.adapter: made for runner in runners if (made := runner.next())}:
        yield _step(losses, rounds, len(courses), optimizer)


def _step(losses: Losses, rounds: Mapping[int, _Round], adapters: int, optimizer: StackedOptimizer) -> dict[int, Step]:
    try:
        for part in range(max(len(each.group) for each in rounds.values())):
            _gradients(losses, rounds, adapters, part)
        for each in rounds.values():
            _check(each, optimizer)
        for each in rounds.values():
            scale = min(1.0, each.course.config.clip / each.norm if each.norm else 1.0) / each.weight
            optimizer.step(each.adapter, lr=each.course.config.rate(each.index), scale=scale)
    finally:
        optimizer.discard()
    return {
        adapter: Step(each.index, each.total / each.weight, each.norm, len(each.rows), each.tokens)
        for adapter, each in rounds.items()
    }


def _gradients(losses: Losses, rounds: Mapping[int, _Round], adapters: int, part: int) -> None:
    """One forward and backward pass over the micro-batches with this number."""
    batches: list[Batch | None] = [None] * adapters
    for adapter, each in rounds.items():
        batches[adapter] = each.group[part] if part < len(each.group) else None
    found = losses(batches)
    present = {adapter: summed for adapter, summed in enumerate(found) if summed is not None}
    for adapter, summed in present.items():
        _add(rounds[adapter], summed)
    sum(summed.total for summed in present.values()).backward()  # pyright: ignore[reportAttributeAccessIssue]


def _add(each: _Round, summed: Summed) -> None:
    value = summed.total.item()
    if not math.isfinite(value):
        raise each.refused(f"the loss is {value}")
    each.total, each.weight, each.tokens = each.total + value, each.weight + summed.weight, each.tokens + summed.tokens


def _check(each: _Round, optimizer: StackedOptimizer) -> None:
    if each.weight <= 0:
        raise ValueError(f"Adapter {each.course.name}, step {each.index}: no token of its examples is under the loss.")
    each.norm = optimizer.norm(each.adapter) / each.weight
    if not math.isfinite(each.norm):
        names = ", ".join(optimizer.faulty(each.adapter)[:3])
        raise each.refused(f"the gradient of {names or 'all tensors together'} is not finite")
