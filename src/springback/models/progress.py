"""The loaders' progress bars: on a terminal they help, in a log they are noise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO


@contextmanager
def quiet_bars() -> Iterator[None]:
    """Inside, bars are drawn on a terminal only. Warnings still come through: their handlers hold the real stream."""
    if sys.stderr.isatty():
        yield
    else:
        with redirect_stderr(StringIO()):
            yield
