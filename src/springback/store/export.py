"""The records of a run as tables, one file for each kind: CSV, or Parquet (extra `parquet`).

A mapping becomes one column for each of its fields, with a dotted name; a list stays one value (JSON text in CSV). In
CSV, text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line end) gets an apostrophe
in front.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from springback.errors import RefusedError
from springback.store.run import Run

Format = Literal["csv", "parquet"]
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file that was written."""

    kind: str
    file: str
    rows: int
    bytes: int


def export(run: Run, into: Path, *, format: Format, kinds: Sequence[str] = ()) -> list[Table]:
    """Write the records of these kinds (all of them, if none is named), replacing files of an earlier export."""
    present = run.kinds()
    for kind in kinds or present:
        if kind not in present or not FILE_NAME.fullmatch(kind):
            todo = f"This run has {', '.join(present) or 'no records'}."
            raise RefusedError(f"no records of kind {kind}", kind="option", where="--kinds", next=todo)
    write = _parquet() if format == "parquet" else _write_csv
    try:
        into.mkdir(parents=True, exist_ok=True)
        return [_table(run, kind, into / f"{kind}.{format}", write) for kind in kinds or present]
    except OSError as error:
        todo = "Make room, or give a directory that can be written (--out)."
        raise RefusedError(f"cannot write it: {error}", kind="disk", where=str(into), next=todo) from error


def flat(body: Mapping[str, Any], prefix: str = "") -> Row:
    """The fields of nested mappings by dotted name; lists, empty mappings and everything else stay values."""
    row: Row = {}
    for name, value in body.items():
        nested = isinstance(value, Mapping) and value
        row |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return row


def _table(run: Run, kind: str, file: Path, write: Callable[[Path, list[str], list[Row]], None]) -> Table:
    rows: list[Row] = [{"key": key, **flat(body)} for key, body in run.read(kind).items()]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    partial = file.with_name(f"{file.name}.partial")
    try:
        write(partial, columns, rows)
        partial.replace(file)
    finally:
        with suppress(OSError):
            partial.unlink()
    return Table(kind=kind, file=str(file), rows=len(rows), bytes=file.stat().st_size)


def _write_csv(file: Path, columns: list[str], rows: list[Row]) -> None:
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([_cell(name) for name in columns])
        writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
        out.flush()
        os.fsync(out.fileno())


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | dict | list):
        value = "" if value is None else json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _parquet() -> Callable[[Path, list[str], list[Row]], None]:
    """The writer. RefusedError where pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        todo = "Install springback[parquet], or take --format csv."
        raise RefusedError("Parquet needs pyarrow", kind="option", where="--format parquet", next=todo) from error

    def column(values: list[Any]) -> Any:
        try:
            return pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, UnicodeEncodeError):  # values of several types
            return pyarrow.array([None if value is None else json.dumps(value) for value in values])

    def write(file: Path, columns: list[str], rows: list[Row]) -> None:
        arrays = [column([row.get(name) for row in rows]) for name in columns]
        parquet.write_table(pyarrow.table(arrays, names=columns), file)

    return write
