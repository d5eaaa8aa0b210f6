"""An interval as a bar through its mark, for a cell of a table, and the scale above such a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from springback.report.charts.frame import apart
from springback.report.charts.marks import ends, hatch, mark
from springback.report.charts.scales import Scale, decimals, ticks
from springback.report.charts.svg import line, svg, tag, words
from springback.report.numbers import STYLES, Style, bare
from springback.report.value import Real, Value

WIDTH: Final = 190.0
HEIGHT: Final = 26.0


@dataclass(frozen=True, slots=True)
class Column:
    """The scale that all rows of a column share."""

    span: tuple[Real, Real]
    reference: Real
    """The line to be clear of."""
    threshold: Real | None = None
    style: Style = STYLES["share"]
    names: tuple[tuple[Real, str], ...] = ()
    """Ticks with words; numbers where empty."""
    width: Real = WIDTH

    @property
    def x(self) -> Scale:
        return Scale(self.span, (6.0, self.width - 6.0))


def scale_row(column: Column) -> Markup:
    """The tick labels above the column."""
    found = []
    for x, text in apart(_ticks(column)):
        found += [words(x, 13, text, "tk", anchor="middle"), line(x, 16, x, 20, "ax")]
    return svg(column.width, 20, found, name="pl cell")


def interval_row(value: Value, column: Column, role: str, *, hollow: bool) -> Markup:
    """The bar, its mark, the reference line and the threshold; hatching where the value must not be quoted."""
    at = column.x(column.reference)
    parts = [line(at, 0, at, HEIGHT, "st")]
    if column.threshold is not None:
        parts.append(line(column.x(column.threshold), 0, column.x(column.threshold), HEIGHT, "th"))
    if value.estimate is None:
        parts.append(hatch(6, 5, column.width - 12, 16, record=value.record))
    else:
        if found := ends(value):
            parts.append(line(column.x.inside(found[0]), 13, column.x.inside(found[1]), 13, f"wk {role}"))
        parts.append(_mark(value, column, role, hollow=hollow))
    return svg(column.width, HEIGHT, parts, name="pl cell")


def _mark(value: Value, column: Column, role: str, *, hollow: bool) -> str:
    """The mark, or an arrow at the end of the scale that the value lies beyond."""
    low, high = column.span
    estimate = value.estimate or 0.0
    if low <= estimate <= high:
        return mark(column.x(estimate), 13, role, hollow=hollow, record=value.record)
    x, way = (column.width - 4, -7) if estimate > high else (4, 7)
    return tag("path", d=f"M{x:g} 13l{way} -5v10z", class_=f"mk {role}" + " ho" * hollow, data_record=value.record)


def _ticks(column: Column) -> Sequence[tuple[Real, str]]:
    if column.names:
        return [(column.x(x), text) for x, text in column.names]
    marks = ticks(*(end * column.style.scale for end in column.span), most=4)
    style = Style(decimals(marks))
    return [(column.x(mark / column.style.scale), bare(mark, style)) for mark in marks]
