"""How much of how much is done, on standard error, now and then."""

import time
from collections.abc import Callable

from springback.cli.output import tell

SECONDS = 5.0
"""Between two lines."""

Report = Callable[[int, int], None]


def progress(*, quiet: bool) -> Callable[[str], Report]:
    """Given what is being done, a function that says how much of it; it says nothing where it was told to be quiet."""
    return lambda what: _silent if quiet else _lines(what)


def _lines(what: str) -> Report:
    said = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= SECONDS:
            said = time.monotonic()
            tell([f"{done:,} of {total:,} {what}"])

    return report


def _silent(done: int, total: int) -> None:
    """Nothing is said."""
