"""The data behind a figure: one table, shown on the page and linked as CSV and JSON."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from springback.report.value import Real, Value

Cell = str | Real | None
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one schema; the last column of a figure's table names the record."""

    name: str
    """File name without its ending."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def csv(self) -> str:
        """RFC 4180; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows([[_harmless(cell) for cell in row] for row in self.rows])
        return out.getvalue()

    def body(self) -> dict[str, Any]:
        return {"figure": self.title, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    def csv_link(self) -> str:
        return "data:text/csv;charset=utf-8;base64," + _base64(self.csv())

    def json_link(self) -> str:
        return "data:application/json;base64," + _base64(json.dumps(self.body()))


def three(value: Value | None) -> tuple[Cell, Cell, Cell]:
    """Estimate, low and high as cells."""
    return (None, None, None) if value is None else (value.estimate, value.low, value.high)


def columns(name: str) -> tuple[str, str, str]:
    """Their headings."""
    return name, f"{name}_low", f"{name}_high"


def table(name: str, title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    return Table(name, title, tuple(heads), tuple(tuple(row) for row in rows))


def embedded(thing: Any) -> str:
    """JSON that cannot end a script element: `<`, `>`, `&` and the line separators are written as escapes."""
    text = json.dumps(thing, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _harmless(cell: Cell) -> Cell:
    return "'" + cell if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")
