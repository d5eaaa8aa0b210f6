"""One panel of the rebound matrix: a reading against examples, tokens or steps, the start and the placebos in it."""

from markupsafe import Markup

from springback.report.charts.frame import Frame, Series, Spot
from springback.report.charts.marks import PLACEBOS, band, ends, hatch, joined, mark, whisker
from springback.report.charts.panel_labels import labels
from springback.report.charts.shown import Panel, places
from springback.report.charts.svg import svg, tag, words
from springback.report.numbers import Style, full

SIDE = 5.0
"""Placebos step aside by this much, so that whiskers do not stand in one another."""


def panel(shown: Panel, frame: Frame, *, inner: bool) -> Markup:
    """Draw it; `inner` panels leave the tick labels to the first of their row."""
    parts = [*frame.grid(inner=inner), *_start(shown, frame), *_title(shown, frame)]
    parts += [piece for ghost in shown.ghosts for piece in joined(places(ghost, frame), "gh")]
    for index, series in enumerate(shown.placebos):
        parts += _placebo(series, frame, index)
    for series in shown.main:
        parts += _main(series, frame)
    parts += [one.draw() for one in labels(shown, frame)]
    parts += _missing(shown, frame)
    parts += frame.baseline(shown.ticks)
    return svg(frame.width, frame.height, parts, label=spoken(shown, frame.style))


def spoken(shown: Panel, style: Style) -> str:
    """Every value in words."""
    series = [s for s in (*shown.main, *shown.placebos) if s.spots]
    lines = [f"{s.name}: " + "; ".join(_said(spot, style, sign=shown.sign) for spot in s.spots) for s in series]
    return f"{shown.label}. " + ". ".join(lines)


def _said(spot: Spot, style: Style, *, sign: bool) -> str:
    return full(spot.value, style, sign=sign, unit=False)


def _title(shown: Panel, frame: Frame) -> list[str]:
    sub = tag("tspan", shown.subtitle, class_="su", dx=6) if shown.subtitle else ""
    return [tag("text", inside=[tag("tspan", shown.title), sub], x=frame.left, y=13, class_="ti")]


def _start(shown: Panel, frame: Frame) -> list[str]:
    if shown.start is None or shown.start.estimate is None:
        return []
    interval, found = ends(shown.start), []
    if interval:
        low, high = (frame.y.inside(end) for end in interval)
        wide = frame.width - frame.left - frame.right
        found.append(tag("rect", x=frame.left, y=high, width=wide, height=max(0.0, low - high), class_="bd s0"))
    return [*found, frame.reference(shown.start.estimate)]


def _main(series: Series, frame: Frame) -> list[str]:
    at = places(series, frame)
    known = [(frame.x(s.x), found) for s in series.spots if (found := ends(s.value)) and s.value.known]
    parts = []
    if series.role in PLACEBOS:
        parts += [whisker(x, frame.y(e[0]), frame.y(e[1]), series.role) for x, e in known if e[0] < e[1]]
    elif len(known) > 1 and not series.thin:
        lows, highs = ([(x, frame.y(pair[end])) for x, pair in known] for end in (0, 1))
        parts.append(band(lows, highs, series.role))
    elif known and not series.thin:
        parts.append(whisker(known[0][0], frame.y(known[0][1][0]), frame.y(known[0][1][1]), series.role))
    parts += joined(at, series.role, thin=series.thin)
    for spot, place in zip(series.spots, at, strict=True):
        if place is not None:
            size = 2.5 if series.thin else 4
            parts.append(mark(*place, series.role_of(spot), record=spot.value.record, size=size))
    return parts


def _placebo(series: Series, frame: Frame, index: int) -> list[str]:
    aside = SIDE * (1 if index % 2 else -1) if len(series.spots) > 1 or index else 0.0
    at = places(series, frame, aside)
    parts = joined(at, series.role)
    for spot, place in zip(series.spots, at, strict=True):
        if place is None:
            continue
        role = series.role_of(spot)
        if role in PLACEBOS and (found := ends(spot.value)):
            parts.append(whisker(place[0], frame.y(found[0]), frame.y(found[1]), role))
        if role in PLACEBOS:
            parts.append(mark(*place, role, record=spot.value.record))
    return parts


def _missing(shown: Panel, frame: Frame) -> list[str]:
    """Hatching and words where a value must not be drawn."""
    spots = [spot for series in shown.main for spot in series.spots if not spot.value.known]
    total = sum(len(series.spots) for series in shown.main)
    middle = (frame.left + frame.width - frame.right) / 2
    if spots and len(spots) == total:
        wide, tall = frame.width - frame.left - frame.right, frame.floor - frame.top
        box = hatch(frame.left, frame.top, wide, tall, record=spots[0].value.record)
        return [box, words(middle, (frame.top + frame.floor) / 2, "not reportable", "nr", anchor="middle")]
    return [hatch(frame.x(s.x) - 6, frame.top, 12, frame.floor - frame.top, record=s.value.record) for s in spots]
