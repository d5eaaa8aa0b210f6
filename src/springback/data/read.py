"""One data file, whatever its format: its rows in file order, or the first fault with file and line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.data import alpaca, jsonl
from springback.data.records import Example, Pair
from springback.data.shapes import At, rows_of, shape_of
from springback.data.source import FORMATS, refuse, sha256


@dataclass(frozen=True, slots=True)
class DataFile:
    """A whole file: every row, of one shape."""

    path: Path
    rows: tuple[Example, ...] | tuple[Pair, ...]
    sha256: str
    """Of the bytes as they lie on the disk."""

    @property
    def preferences(self) -> bool:
        """Whether each row holds both a chosen and a rejected answer."""
        return isinstance(self.rows[0], Pair)


def read(path: Path | str) -> DataFile:
    """Every row of the file. RefusedError (kind `data`) names the file, the line and the next step."""
    return DataFile(Path(path), tuple(rows(path)), sha256(Path(path)))  # type: ignore[arg-type]


def rows(path: Path | str) -> Iterator[Example | Pair]:
    """The rows one by one; the rows of one file have one shape. `.gz` is unpacked, strings stay strings."""
    path, first = Path(path), ""
    for row, (line, value) in enumerate(values(path), start=1):
        at = At(str(path), path.name, line, row)
        shape = shape_of(value, at)
        first = first or shape
        if shape != first:
            at.no(f"This row has the shape “{shape}”, the rows before it “{first}”.", "Keep one shape in a file.")
        yield from rows_of(value, shape, at)
    if not first:
        refuse(f"{path.name} is empty.", where=str(path), next_step=f"Give {FORMATS}.")


def values(path: Path) -> Iterator[tuple[int, Any]]:
    """Arrays by name and first character (`.json`, `.json.gz`); everything else is read as lines."""
    named = path.name.removesuffix(".gz").endswith(".json")
    return alpaca.read(path) if named and alpaca.is_array(path) else jsonl.read(path)
