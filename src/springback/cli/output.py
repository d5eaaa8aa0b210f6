"""Where words go: answers to standard output, everything else to standard error."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a text of a model or a file could steer a terminal with."""


def show(lines: Iterable[str]) -> None:
    """Print to standard output; quietly nothing once nobody reads it any more."""
    _put(sys.stdout, lines)


def tell(lines: Iterable[str]) -> None:
    """Say something to the person at the terminal, on standard error; a line that is not indented carries our name."""
    _put(sys.stderr, (line if line.startswith("  ") else f"springback: {line}" for line in lines))


def harmless(text: str) -> str:
    """The text with its control characters, tab and newline apart, spelled out."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@contextlib.contextmanager
def machine_only(*, on: bool) -> Iterator[None]:
    """While it lasts nothing reaches standard output: not a library's print, not a child process."""
    if not on:
        yield
        return
    with _descriptor_to_stderr(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _put(stream: Any, lines: Iterable[str]) -> None:
    encoding = stream.encoding or "utf-8"
    text = "".join(f"{harmless(line)}\n" for line in lines)
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:  # else Python complains about its own flush at exit
        with contextlib.suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
