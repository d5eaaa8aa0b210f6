"""One job after another, in this process."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from springback.parallel.job import Job


@dataclass(frozen=True, slots=True)
class Here:
    """An `Engine` without workers: nothing can be lost, and an exception is the job's own."""

    def __call__(self, do: Callable[[Any], Any], jobs: Sequence[Job]) -> Iterator[Any]:
        return (do(job.what) for job in jobs)
