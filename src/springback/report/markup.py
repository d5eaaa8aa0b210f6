"""Numbers as HTML: what is printed, what is stored, and the record that it came from, in one element."""

from markupsafe import Markup

from springback.report.numbers import bare, count, interval, style_for
from springback.report.value import Real, Value


def num(value: Value, reading: str | None = None, *, sign: bool = False, unit: bool = True) -> Markup:
    """`estimate [low, high] unit` in a `data` element that carries the stored number and its record."""
    style = style_for(value, reading)
    if value.estimate is None:
        return Markup('<b class="nrt" data-record="{}">not reportable</b>').format(value.record)
    inner = Markup("{}").format(bare(value.estimate, style, sign=sign))
    if brackets := interval(value, style, sign=sign):
        inner += Markup(' <span class="iv">{}</span>').format(brackets)
    if unit and style.unit:
        inner += Markup(" {}").format(style.unit)
    return pointed(inner, value.record, stored=value.estimate)


def pointed(text: str, record: str, *, stored: Real | None = None) -> Markup:
    """Any printed number with its record."""
    if stored is None:
        return Markup('<span class="num" data-record="{}">{}</span>').format(record, text)
    return Markup('<data class="num" value="{}" data-record="{}">{}</data>').format(repr(stored), record, text)


def counted(number: Real, record: str) -> Markup:
    """A count with its record."""
    return pointed(count(number), record, stored=number)
