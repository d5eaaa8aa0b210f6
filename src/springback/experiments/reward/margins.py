"""Margins of pairs: the column `margin`, or the difference of the two answers' scores. Torch-free."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from springback.data import parquet
from springback.data.choices import Choice, Ranking
from springback.data.preferences import Preferences
from springback.data.read import values
from springback.data.scores import number
from springback.data.shapes import At
from springback.data.source import refuse

COLUMN = "margin"


def with_margins(data: Preferences, rows: Sequence[Choice | Ranking], path: str | None) -> list[float | None]:
    """One margin a row, at least 0; None for ranked answers, whose scores say it.

    RefusedError with file and line for a margin that is no finite number, missing or below 0, and where there is none.
    """
    stated = _column(Path(path)) if path and COLUMN in data.passed_over else {}
    return [_margin(row, stated, data, path) for row in rows]


def _margin(row: Choice | Ranking, stated: dict[str, float], data: Preferences, path: str | None) -> float | None:
    if isinstance(row, Ranking):
        if not row.scored:
            _none(row.where, data, path)
        return None
    if row.where in stated:
        return stated[row.where]
    if row.scores is None:
        _none(row.where, data, path)
    if (margin := row.scores[0] - row.scores[1]) < 0:
        refuse(
            f"The chosen answer's score, {row.scores[0]:g}, is below the rejected one's, {row.scores[1]:g}.",
            where=row.where, next_step="Exchange the two answers, remove this row, or take --loss bradley_terry.",
        )  # fmt: skip
    return margin


def _column(path: Path) -> dict[str, float]:
    """Margin by `file:line`."""
    found: dict[str, float] = {}
    read = parquet.read(path) if path.suffix == ".parquet" else values(path)
    for count, (line, row) in enumerate(read, start=1):
        at = At(str(path), path.name, line, count)
        place = f"{path.name}:{line}"
        margin = number(row.get(COLUMN), COLUMN, at)
        if margin < 0:
            at.no(f'"margin" says how much better the chosen answer is; this is {margin:g}, below 0.')
        if place in found:
            at.no("Several rows stand on this line, so their margins cannot be told apart.", "Write one row a line.")
        found[place] = margin
    return found


def _none(where: str, data: Preferences, path: str | None) -> NoReturn:
    refuse(
        f"The loss needs margins, and {data.name} states none here.", where=f"{path}:{where.rpartition(':')[2]}",
        next_step='Give the column "margin", or scores of both answers; or take --loss bradley_terry.',
    )  # fmt: skip
