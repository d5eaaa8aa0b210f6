"""Alpaca JSON: one array of objects `instruction`, `input` (may be empty), `output` (Stanford Alpaca, 2023).

The array is read element by element, so that a fault is reported with its line and a large file costs little memory.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final, NoReturn

from springback.data.jsonl import BOM, DECODER, unreadable
from springback.data.records import Message, Prompt
from springback.data.source import ROW_LIMIT, ROWS_LIMIT, opened, refuse, text

BLOCK: Final = 1 << 16
SPACE: Final = " \t\r\n"


def is_array(path: Path) -> bool:
    """Whether the file's first character that is not white space opens an array."""
    with opened(path) as file:
        return file.read(BLOCK).removeprefix(BOM).lstrip()[:1] == b"["


def read(path: Path) -> Iterator[tuple[int, Any]]:
    """Line where it begins (from 1) and value of every element of the file's one array; refuses as `jsonl` does."""
    with opened(path) as file:
        array = _Array(path, file)
        array.expect("[")
        while not array.closes():
            if array.elements:
                array.expect(",")
            yield array.element()
        array.nothing_follows()


def prompt(instruction: str, given: str) -> Prompt:
    """One user turn: the instruction, then its input, if any, after an empty line."""
    return (Message("user", f"{instruction}\n\n{given}" if given else instruction),)


@dataclass(slots=True)
class _Array:
    """A window of text that slides over the file; `line` is the line at the window's beginning."""

    path: Path
    file: BufferedIOBase
    window: str = ""
    rest: bytes = b""
    line: int = 1
    elements: int = 0
    ended: bool = False
    begun: bool = False

    def closes(self) -> bool:
        return self._next() == "]"

    def expect(self, sign: str) -> None:
        if self._next() != sign:
            self._refuse(f'"{sign}" must stand here; the array is cut off or malformed')
        self._skip(1)

    def element(self) -> tuple[int, Any]:
        self._next()
        at = self.line
        while True:
            try:
                value, end = DECODER.raw_decode(self.window)
            except json.JSONDecodeError as error:
                if not self._more():
                    self._refuse(f"{error.msg}; the element is cut off or malformed")
            except (ValueError, RecursionError) as error:
                unreadable(error, f"{self.path}:{self.line}")
            else:
                self._skip(end)
                self.elements += 1
                if self.elements > ROWS_LIMIT:
                    self._refuse(f"the file has more than {ROWS_LIMIT} rows")
                return at, value

    def nothing_follows(self) -> None:
        self.expect("]")
        if self._next():
            self._refuse("something follows the array")

    def _next(self) -> str:
        """The next character that is not white space, now first in the window; empty at the end of the file."""
        while True:
            self._skip(len(self.window) - len(self.window.lstrip(SPACE)))
            if self.window or not self._more():
                return self.window[:1]

    def _skip(self, characters: int) -> None:
        self.line += self.window.count("\n", 0, characters)
        self.window = self.window[characters:]

    def _more(self) -> bool:
        """Read on; False at the end of the file. An element may not outgrow a row."""
        if self.ended:
            return False
        if len(self.window) > ROW_LIMIT:
            self._refuse(f"the element is longer than {ROW_LIMIT} characters")
        block = self.file.read(max(BLOCK, len(self.window)))
        self.ended, raw = not block, self.rest + block
        if not self.begun:
            raw, self.begun = raw.removeprefix(BOM), True
        whole = len(raw) if self.ended else raw.rfind(b"\n") + 1 or _last_start(raw)
        self.window += text(raw[:whole], self.path, self.line + self.window.count("\n"))
        self.rest = raw[whole:]
        return True

    def _refuse(self, why: str) -> NoReturn:
        refuse(f"Cannot read this array: {why}.", where=f"{self.path}:{self.line}", next_step="Write the file again.")


def _last_start(raw: bytes) -> int:
    """Where the last character of UTF-8 bytes begins, so that no character is cut in two."""
    start = len(raw) - 1
    while start > 0 and raw[start] & 0xC0 == 0x80:
        start -= 1
    return max(start, 0)
