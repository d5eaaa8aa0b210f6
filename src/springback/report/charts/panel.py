"""One panel of the rebound matrix: a reading against examples, tokens or steps, with the start and the placebos in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.labels import Label, place
from springback.report.charts.marks import PLACEBOS, band, ends, hatch, joined, mark, whisker
from springback.report.charts.svg import svg, tag, words
from springback.report.numbers import Style, bare, full
from springback.report.value import Value

SIDE = 5.0
"""Placebos step aside by this much, so that whiskers do not stand in one another."""


@dataclass(frozen=True)
class Panel:
    """What one panel shows."""

    title: str
    subtitle: str
    label: str
    """Said by a screen reader, before the values."""
    main: tuple[Series, ...]
    """The chain itself; several where seeds are drawn apart."""
    placebos: tuple[Series, ...]
    ghosts: tuple[Series, ...]
    """The chains of other sizes, for comparison: thin and grey."""
    start: Value | None
    """The start's level, drawn as a line with its interval."""
    ticks: tuple[Tick, ...]
    sign: bool = False
    apart: bool = False
    """The main lines are different texts, each with its name; not seeds of one line."""


def panel(shown: Panel, frame: Frame, *, inner: bool) -> Markup:
    """Draw it; `inner` panels leave the tick labels to the first of their row."""
    parts = [*frame.grid(inner=inner), *_start(shown, frame), *_title(shown, frame)]
    parts += [piece for ghost in shown.ghosts for piece in joined(_places(ghost, frame), "gh")]
    for index, series in enumerate(shown.placebos):
        parts += _placebo(series, frame, index)
    for series in shown.main:
        parts += _main(series, frame)
    parts += [one.draw() for one in _labels(shown, frame)]
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


def _places(series: Series, frame: Frame, aside: float = 0.0) -> list[tuple[float, float] | None]:
    at = [(spot, spot.value.estimate) for spot in series.spots]
    return [None if y is None else (frame.x(spot.x) + aside, frame.y(y)) for spot, y in at]


def _main(series: Series, frame: Frame) -> list[str]:
    places = _places(series, frame)
    known = [(frame.x(s.x), found) for s in series.spots if (found := ends(s.value)) and s.value.known]
    parts = []
    if series.role in PLACEBOS:
        parts += [whisker(x, frame.y(e[0]), frame.y(e[1]), series.role) for x, e in known if e[0] < e[1]]
    elif len(known) > 1 and not series.thin:
        lows, highs = ([(x, frame.y(pair[end])) for x, pair in known] for end in (0, 1))
        parts.append(band(lows, highs, series.role))
    elif known and not series.thin:
        parts.append(whisker(known[0][0], frame.y(known[0][1][0]), frame.y(known[0][1][1]), series.role))
    parts += joined(places, series.role, thin=series.thin)
    for spot, spot_place in zip(series.spots, places, strict=True):
        if spot_place is not None:
            size = 2.5 if series.thin else 4
            parts.append(mark(*spot_place, series.role_of(spot), record=spot.value.record, size=size))
    return parts


def _placebo(series: Series, frame: Frame, index: int) -> list[str]:
    aside = SIDE * (1 if index % 2 else -1) if len(series.spots) > 1 or index else 0.0
    places = _places(series, frame, aside)
    parts = joined(places, series.role)
    for spot, spot_place in zip(series.spots, places, strict=True):
        if spot_place is None:
            continue
        role = series.role_of(spot)
        if role in PLACEBOS and (found := ends(spot.value)):
            parts.append(whisker(spot_place[0], frame.y(found[0]), frame.y(found[1]), role))
        if role in PLACEBOS:
            parts.append(mark(*spot_place, role, record=spot.value.record))
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


def _labels(shown: Panel, frame: Frame) -> Sequence:
    lines = [[p for p in _places(s, frame) if p] for s in (*shown.main, *shown.placebos)]
    marks = [p for one in lines for p in one]
    lines += [_upright(spot, frame) for s in shown.placebos for spot in s.spots]
    if shown.start is not None and (level := shown.start.estimate) is not None:
        lines.append([(frame.left, frame.y(level)), (frame.width - frame.right, frame.y(level))])
    ends_of = _last_of_each(shown, frame) if shown.apart else _ends(shown, frame)
    wanted = [*ends_of, *_names(shown, frame), *_between(shown, frame)]
    return place(wanted, frame.bounds, lines, marks)


def _upright(spot: Spot, frame: Frame) -> list[tuple[float, float]]:
    interval = ends(spot.value)
    return [(frame.x(spot.x), frame.y(end)) for end in interval] if interval else []


def _ends(shown: Panel, frame: Frame) -> list[Label]:
    """First and last value of the main line; where seeds are drawn apart, the range over seeds."""
    series = [s for s in shown.main if any(spot.value.known for spot in s.spots)]
    if not series:
        return []
    last = len(series[0].spots) - 1
    found = []
    for index in sorted({0, last}):
        spots = [s.spots[index] for s in series if len(s.spots) > index and s.spots[index].value.known]
        if spots and not (index == 0 and last and spots[0].role == "s0"):
            found.append(_value_label(spots, series[0], shown, frame))
    return found


def _last_of_each(shown: Panel, frame: Frame) -> list[Label]:
    found = []
    for series in shown.main:
        known = [spot for spot in series.spots if spot.value.known]
        if known and (y := known[-1].value.estimate) is not None:
            text = f"{series.name} {bare(y, frame.style)}"
            found.append(Label(frame.x(known[-1].x), frame.y(y), text, f"vl {series.role}", record=known[-1].value.record))
    return found


def _value_label(spots: Sequence[Spot], series: Series, shown: Panel, frame: Frame) -> Label:
    values = sorted(s.value.estimate for s in spots if s.value.estimate is not None)
    text = bare(values[0], frame.style, sign=shown.sign)
    if len(values) > 1:
        text = f"{text} to {bare(values[-1], frame.style, sign=shown.sign)}"
    role = series.role_of(spots[0])
    return Label(frame.x(spots[0].x), frame.y(values[-1]), text, f"vl {role}", record=spots[0].value.record)


def _names(shown: Panel, frame: Frame) -> list[Label]:
    found = []
    for series in shown.placebos:
        known = [spot for spot in series.spots if spot.value.known]
        if known and series.name:
            y = known[-1].value.estimate or 0.0
            found.append(Label(frame.x(known[-1].x), frame.y(y), series.name, f"dl {series.role}"))
    return found


def _between(shown: Panel, frame: Frame) -> list[Label]:
    """The other values: shown while the panel is pointed at or focused."""
    if len(shown.main) != 1:
        return []
    series = shown.main[0]
    inner = [s for s in series.spots[1:-1] if s.value.known]
    return [
        Label(frame.x(s.x), frame.y(y), bare(y, frame.style, sign=shown.sign), f"vl hv {series.role}", record=s.value.record)
        for s in inner
        if (y := s.value.estimate) is not None
    ]
