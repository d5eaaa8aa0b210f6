"""What every experiment that makes a run does alike: open it, measure, close it with its cost. Torch-free."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from springback.errors import RefusedError, StoppedError
from springback.store import description
from springback.store.run import Run


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run and what this call did for it."""

    run: Run
    """Opened for reading."""
    work_done: Mapping[str, int]
    """All 0 where nothing was left to do."""
    warnings: tuple[str, ...] = ()


def carried_out(
    path: Path,
    work: Callable[[Run], Mapping[str, int]],
    *,
    command: str,
    asked: Mapping[str, Any],
    identity: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Finished:
    """Open the run or go on with it, do the work, close it as complete; its cost is that of all calls together.

    The seconds of a call that was killed are lost; of one that was interrupted or failed they are kept. Raises
    `RefusedError` as `Run.open`, and whatever `work` raises; a `RefusedError` of `work` that comes after this call has
    stored something is a `StoppedError`, and one before the first record takes the run's directory away again.
    """
    began = time.monotonic()
    with Run.open(path, command=command, asked=asked, identity=identity, about=about) as run:
        before, there = run.meta.get("spent") or 0.0, stored(path)
        try:
            done = work(run)
        except RefusedError as error:
            if stored(path) == there:
                run.abandon()
                raise
            run.note(spent=before + time.monotonic() - began)
            raise StoppedError(error.message, kind=error.kind, where=error.where, next=error.next) from error
        except BaseException:
            run.note(spent=before + time.monotonic() - began)
            raise
        run.finish("complete", cost={"seconds": before + time.monotonic() - began, "peak_bytes": peak_bytes()})
        warnings = run.warnings
    return Finished(Run.look(path), done, tuple(warnings))


def stored(path: Path) -> int:
    """How many records a run holds, those of the runs within it too."""
    count = 0
    for file in path.rglob(description.NAME):
        with Run.look(file.parent) as run:
            count += sum(run.kinds().values())
    return count


def say(line: str) -> None:
    """Progress goes to standard error, a line at a time."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def peak_bytes() -> int:
    """Most memory this process has held: resident bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
