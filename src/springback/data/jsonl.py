"""JSON Lines: one JSON object a line, UTF-8, with or without BOM and carriage returns; strict and streaming.

Nothing is guessed: `json` alone takes the last of two equal keys without a word.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from springback.data.source import ROW_LIMIT, ROWS_LIMIT, opened, refuse, text

BOM = b"\xef\xbb\xbf"


class DuplicateKeyError(ValueError):
    """One object names a key twice."""


def read(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number (from 1) and JSON value of every line. Blank lines may stand at the end only.

    Raises:
        RefusedError: what is wrong, the file and line where, and what to do.
    """
    blank = 0
    for number, raw in _lines(path):
        where = f"{path}:{number}"
        if not raw.strip():
            blank = blank or number
            continue
        if blank:
            refuse("This line is blank.", where=f"{path}:{blank}", next_step="Remove blank lines between rows.")
        yield number, parsed(text(raw, path, number), where, ended=raw.endswith(b"\n"))


def parsed(line: str, where: str, *, ended: bool = True) -> Any:
    """One JSON value, strictly. `ended`: whether the line has its line end, without which it may be cut off."""
    try:
        return DECODER.decode(line.strip(" \t\r\n"))
    except json.JSONDecodeError as error:
        cut = "the last line is cut off" if not ended else "the line is no JSON"
        refuse(
            f"Cannot read this row: {cut} ({error.msg} at character {error.colno}).", where=where,
            next_step="Write the file again, or remove this line.",
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        unreadable(error, where)


def unreadable(error: Exception, where: str) -> NoReturn:
    """Refuse valid JSON that still cannot be taken: a key twice, nesting or digits without end."""
    why = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
    refuse(f"Cannot read this row: {why}.", where=where, next_step="Correct this row.")


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise DuplicateKeyError(f'the key "{twice}" stands in it twice')
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_once)
"""Refuses a key twice, which plain `json` lets pass."""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with opened(path) as file:
        for number in range(1, ROWS_LIMIT + 2):
            raw = file.readline(ROW_LIMIT + 1)
            if not raw:
                return
            where = f"{path}:{number}"
            if len(raw) > ROW_LIMIT:
                refuse(f"This row is longer than {ROW_LIMIT} bytes.", where=where, next_step="Shorten or remove it.")
            if number > ROWS_LIMIT:
                refuse(f"The file has more than {ROWS_LIMIT} rows.", where=where, next_step="Give a smaller file.")
            yield number, raw.removeprefix(BOM) if number == 1 else raw
