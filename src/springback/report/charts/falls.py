"""Change since before the reversal, aligned against placebos, and a bracket for the difference of falls."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.frame import Frame, Series, Tick
from springback.report.charts.labels import spread
from springback.report.charts.marks import band, ends, joined, mark, whisker
from springback.report.charts.svg import svg, tag, words
from springback.report.numbers import bare, full, interval
from springback.report.value import Real, Value

STEP = 7.0
"""Horizontal step between series, so that whiskers stand apart."""


@dataclass(frozen=True)
class Falls:
    """One reading's falls; every series begins at 0, before the reversal."""

    label: str
    main: Series
    placebos: tuple[Series, ...]
    ticks: tuple[Tick, ...]
    difference: Value | None
    """The difference of falls at the last place, aligned minus benign-tuned."""


def falls(shown: Falls, frame: Frame) -> Markup:
    """Draw it; the names stand at the right end, pushed apart where they would touch."""
    parts = [*frame.grid(), frame.reference(0.0)]
    for index, series in enumerate(shown.placebos):
        parts += _placebo(series, frame, (index - (len(shown.placebos) - 1)) * STEP + STEP / 2)
    parts += _main(shown.main, frame)
    parts.append(mark(frame.x(shown.ticks[0].x), frame.y(0.0), "s0"))
    parts += _names(shown, frame)
    parts += frame.baseline(shown.ticks)
    return svg(frame.width, frame.height, parts, label=_spoken(shown, frame))


def _main(series: Series, frame: Frame) -> list[str]:
    origin = (frame.x(frame.across[0]), frame.y(0.0))
    known = [(frame.x(s.x), s.value) for s in series.spots if s.value.known]
    bands = [(x, found) for x, v in known if (found := ends(v))]
    parts = []
    if bands:
        lows = [origin, *((x, frame.y(e[0])) for x, e in bands)]
        parts.append(band(lows, [origin, *((x, frame.y(e[1])) for x, e in bands)], series.role))
    places = [(x, frame.y(v.estimate or 0.0)) for x, v in known]
    parts += joined([origin, *places], series.role)
    marks = [
        mark(*p, series.role, hollow=not v.decided(), record=v.record) for p, (_, v) in zip(places, known, strict=True)
    ]
    return parts + marks


def _placebo(series: Series, frame: Frame, aside: Real) -> list[str]:
    parts, line = [], [(frame.x(frame.across[0]), frame.y(0.0))]
    for spot in series.spots:
        if spot.value.estimate is None:
            continue
        x, y = frame.x(spot.x) + aside, frame.y(spot.value.estimate)
        line.append((x, y))
        if found := ends(spot.value):
            parts.append(whisker(x, frame.y(found[0]), frame.y(found[1]), series.role))
        parts.append(mark(x, y, series.role, hollow=not spot.value.decided(), record=spot.value.record))
    return joined(line, series.role) + parts


def _names(shown: Falls, frame: Frame) -> list[str]:
    """The last value of every series with its name; between aligned and benign-tuned, the bracket and its words."""
    rows = [(s, s.spots[-1].value) for s in (*shown.placebos, shown.main) if s.spots and s.spots[-1].value.known]
    if not rows:
        return []
    edge = frame.x(frame.across[1]) + 12
    wanted = [frame.y(v.estimate or 0.0) for _, v in rows]
    text = [(f"{s.name}: {bare(v.estimate or 0.0, frame.style)}", f"dl {s.role}", v.record) for s, v in rows]
    bracket = _bracket(shown, frame, edge)
    if bracket and shown.difference is not None:
        middle = sum(bracket) / 2
        wanted += [middle - 6, middle + 8]
        text.append(
            (f"difference {bare(shown.difference.estimate or 0.0, frame.style)}", "em", shown.difference.record)
        )
        text.append((interval(shown.difference, frame.style), "lb", shown.difference.record))
    heights = spread(wanted, frame.top - 6, frame.floor - 4, gap=15)
    drawn = [words(edge + 14, y + 4, t, name, data_record=r) for y, (t, name, r) in zip(heights, text, strict=True)]
    return [*_drawn_bracket(bracket, edge), *drawn]


def _bracket(shown: Falls, frame: Frame, edge: Real) -> tuple[Real, Real] | None:
    """Heights that the bracket joins: the benign-tuned model's last value and the aligned one's."""
    benign = next((s for s in shown.placebos if s.role == "pb" and s.spots), None)
    if shown.difference is None or shown.difference.estimate is None or benign is None or not shown.main.spots:
        return None
    low, high = benign.spots[-1].value.estimate, shown.main.spots[-1].value.estimate
    return None if low is None or high is None else (frame.y(low), frame.y(high))


def _drawn_bracket(bracket: Sequence[Real] | None, edge: Real) -> list[str]:
    if bracket is None:
        return []
    top, bottom = bracket
    return [tag("path", d=f"M{edge:.1f} {top:.1f}h7V{bottom:.1f}h-7", class_="br")]


def _spoken(shown: Falls, frame: Frame) -> str:
    rows = [(s.name, s.spots[-1].value) for s in (shown.main, *shown.placebos) if s.spots]
    return f"{shown.label}. At the last size: " + "; ".join(f"{name} {full(v, frame.style)}" for name, v in rows)
