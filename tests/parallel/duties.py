"""What workers are asked to do; importable by name, as an engine demands."""

import os
import signal
import time
from pathlib import Path
from threading import Lock

from springback.errors import RefusedError


def double(number: int) -> int:
    return 2 * number


def slow_first(number: int) -> int:
    time.sleep(1.0 if number == 0 else 0)
    return number


def refuse(name: str) -> None:
    raise RefusedError(f"no {name}", kind="data", where=f"{name}.jsonl:3", next="Mend it.")


def divide(number: int) -> float:
    return 1 / number


def unpicklable(_: int):
    return Lock()


def die_at_first(file: str) -> int:
    """Killed like by the system the first time; the second time it returns how often it was begun."""
    if begun(file) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(Path(file).read_text())


def die(file: str) -> None:
    begun(file)
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    time.sleep(60)


def begun(file: str) -> int:
    with Path(file).open("a") as marks:
        marks.write("x")
    return len(Path(file).read_text())
