"""Write, reward, learn, step after step; resume at the record. Knows neither torch nor models.

What a step wrote, with its rewards, is stored in one transaction before anything is learnt from it; what learning found
in another. After an interruption the last durable weights are taken up, and the steps since are learnt again from their
stored answers: nothing is written or rewarded twice, and the records are those of an uninterrupted run.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from springback.experiments.audit.progress import Progress
from springback.experiments.rlhf.config import Design
from springback.store.run import Run

Body = Mapping[str, Any]
When = Literal["before", "after"]


@runtime_checkable
class Laboratory(Protocol):
    """What the experiment needs of a model. Every method is deterministic given the numbers and the weights."""

    def take_up(self) -> int:
        """Put the last durable weights on the bench; how many steps lie behind them, 0 for the start."""
        ...

    def write(self, step: int) -> list[Body]:
        """The answers of a step with their rewards: bodies of `completion` records."""
        ...

    def learn(self, step: int, completions: Sequence[Body]) -> Body:
        """Learn from a step's answers; the body of its `step` record."""
        ...

    def keep(self, steps: int) -> None:
        """Make the weights after so many steps durable."""

    def read(self, when: When) -> Iterable[Body]:
        """The answers to the held-out prompts, with their rewards: bodies of `held_out` records."""
        ...


def walk(design: Design, run: Run, laboratory: Laboratory, progress: Progress) -> Iterator[int]:
    """Yield each step as it becomes complete; the held-out prompts are read before the first and after the last."""
    _read("before", run, laboratory, progress)
    done, behind = set(run.keys("step")), laboratory.take_up()
    for step in range(behind, design.steps):
        completions = _written(step, run, laboratory, progress)
        began = time.monotonic()
        with progress.work("learn", label=f"step {step}"):
            body = laboratory.learn(step, completions)
        if str(step) not in done:
            run.append("step", str(step), body, cost={"learning_seconds": time.monotonic() - began})
        if (step + 1) % design.checkpoint_every == 0 or step + 1 == design.steps:
            laboratory.keep(step + 1)
        yield step
    _read("after", run, laboratory, progress)


def completions_of(run: Run, step: int) -> list[Body]:
    """What a step wrote, in its order; empty where it is not stored."""
    found: list[Body] = []
    while (body := run.get("completion", f"{step}/{len(found)}")) is not None:
        found.append(body)
    return found


def _written(step: int, run: Run, laboratory: Laboratory, progress: Progress) -> list[Body]:
    if stored := completions_of(run, step):
        return stored
    with progress.work("write", label=f"step {step}"):
        bodies = laboratory.write(step)
    with run.together():
        for index, body in enumerate(bodies):
            run.append("completion", f"{step}/{index}", body)
    return bodies


def _read(when: When, run: Run, laboratory: Laboratory, progress: Progress) -> None:
    if run.get("reading", when) is not None:
        return
    with progress.work("read", label=f"held out, {when}"):
        bodies = list(laboratory.read(when))
    with run.together():
        for index, body in enumerate(bodies):
            run.append("held_out", f"{when}/{index}", body)
        run.append("reading", when, {"when": when, "prompts": len(bodies)})
