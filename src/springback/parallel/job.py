"""A job and what became of it, wherever it ran. What a worker sends back never carries an exception: not all pickle."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from springback.errors import RefusedError

TRIES = 3
"""How often a job is begun at most: its worker may be lost twice."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do, and what to call it when it goes wrong."""

    name: str
    what: Any
    """Picklable: what the function is called with."""


@runtime_checkable
class Engine(Protocol):
    """Where jobs run."""

    def __call__(self, do: Callable[[Any], Any], jobs: Sequence[Job]) -> Iterator[Any]:
        """What `do` returns for each job, in the order of the jobs. `do` must be importable by name, and must bear to
        be called again: a job whose worker is lost is begun anew.

        The first job that refuses or fails ends it all: `RefusedError` as it was raised, `JobFailedError` for any
        other exception, `JobLostError` where its worker was lost too often.
        """
        ...


class JobFailedError(RuntimeError):
    """A job raised an exception where it ran."""


class JobLostError(RuntimeError):
    """A job's worker was lost, as often as it was tried."""

    def __init__(self, job: str, tries: int, why: str) -> None:
        super().__init__(f"{job}: its worker was lost {tries} times, so it is not tried again ({why})")
        self.job, self.tries = job, tries


@dataclass(frozen=True, slots=True)
class Done:
    """It returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """It refused: the fields of a `RefusedError`."""

    message: str
    kind: str
    where: str | None
    next: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It raised something else."""

    words: str
    trace: str


Outcome = Done | Refused | Failed


def attempt(do: Callable[[Any], Any], what: Any) -> Outcome:
    """Do it, on the worker."""
    try:
        return Done(do(what))
    except RefusedError as error:
        return Refused(error.message, error.kind, error.where, error.next)
    except Exception as error:
        return failed(error)


def failed(error: BaseException) -> Failed:
    return Failed(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def value(job: Job, outcome: Outcome) -> Any:
    """What it returned; raises what it raised. On the driver."""
    if isinstance(outcome, Done):
        return outcome.value
    if isinstance(outcome, Refused):
        raise RefusedError(outcome.message, kind=outcome.kind, where=outcome.where, next=outcome.next)
    error = JobFailedError(f"{job.name}: {outcome.words}")
    error.add_note(outcome.trace)
    raise error
