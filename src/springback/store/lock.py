"""One writer a run: an operating-system lock, which a killed process leaves open behind it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from springback.errors import RefusedError

NAME: Final = ".lock"
PATIENCE: Final = 0.5
"""Seconds a writer waits, since a reader that asks whether a run is running holds the lock for a moment."""


def take(directory: Path) -> FileLock:
    """The lock of this run, held. RefusedError while another process holds it; OSError where none can be made."""
    lock = FileLock(directory / NAME)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=0.02)
    except Timeout:
        todo = "Wait until it has finished or stop it; or give another --out."
        message = "another process is writing this run"
        raise RefusedError(message, kind="run", where=str(directory), next=todo) from None
    except NotImplementedError as error:
        todo = "Put the run on a local disk (--out)."
        message = "this file system cannot lock a file, so two processes could write one run"
        raise RefusedError(message, kind="disk", where=str(directory), next=todo) from error
    return lock


def held(directory: Path) -> bool:
    """Whether a live process writes this run; False where one may not ask (a read-only directory)."""
    file = directory / NAME
    if not os.access(file, os.W_OK):
        return False
    lock = FileLock(file)
    with suppress(OSError, NotImplementedError):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False
