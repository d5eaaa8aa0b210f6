"""Lines against any quantity, on linear or logarithmic axes, with a band where the values have intervals.

Roles are those of `charts.marks`. On a logarithmic axis values must be positive (ValueError); the lower end of an
interval that is not is drawn at the foot of the axis. Unknown values are hatched, never left out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.curve import room
from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.labels import spread
from springback.report.charts.marks import band, ends, hatch, joined, mark, whisker
from springback.report.charts.scales import domain, ticks
from springback.report.charts.svg import line, svg, words
from springback.report.numbers import short
from springback.report.value import Real

MARKED = 40
"""A line of more values than this has its first value marked, not every one: marks would hide it."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What one axis carries, with its unit in the title."""

    title: str
    log: bool = False
    include: tuple[Real, ...] = ()
    """Values that the axis must show, such as 0."""

    def place(self, x: Real) -> Real:
        """Where a value stands before it is scaled to the picture."""
        if self.log and x <= 0:
            raise ValueError(f"A logarithmic axis ({self.title}) has no place for {x}: use a linear one.")
        return math.log10(x) if self.log else x


@dataclass(frozen=True, slots=True)
class Lines:
    """What one chart shows."""

    label: str
    """For those who do not see it; every value is added in words."""
    series: tuple[Series, ...]
    """Drawn in order, so the main one comes last."""
    across: Axis
    up: Axis
    level: Real | None = None
    """A horizontal line to compare with."""
    upright: tuple[Real, str] | None = None
    """A vertical line with its name."""


def lines(shown: Lines, *, width: Real = 520, height: Real = 300) -> Markup:
    """The picture."""
    frame = _frame(shown, width, height)
    parts = [*_grid(shown, frame), *_upright(shown, frame)]
    if shown.level is not None:
        parts.append(frame.reference(shown.up.place(shown.level)))
    for series in shown.series:
        parts += _drawn(series, shown, frame)
    parts += [*_names(shown, frame), words(2, 12, shown.up.title, "lb")]
    across = [Tick(place, (text,)) for place, text in _ticks(frame.across, shown.across)]
    return svg(width, height, [*parts, *frame.baseline(across, shown.across.title)], label=spoken(shown))


def spoken(shown: Lines) -> str:
    """Every value in words."""
    said = [f"{s.name}: " + "; ".join(f"{short(p.x)}: {_said(p)}" for p in s.spots) for s in shown.series]
    return f"{shown.label}. {shown.up.title} against {shown.across.title}. " + ". ".join(said)


def _said(spot: Spot) -> str:
    if spot.value.estimate is None:
        return "not reportable"
    low, high = ends(spot.value) or (None, None)
    interval = "" if low is None or high is None else f" [{short(low)}, {short(high)}]"
    return short(spot.value.estimate) + interval


def _frame(shown: Lines, width: Real, height: Real) -> Frame:
    spots = [spot for series in shown.series for spot in series.spots]
    held = [] if shown.level is None else [shown.level]
    heights = [v for s in spots for v in (s.value.estimate, s.value.low, s.value.high) if v is not None]
    across = _range(shown.across, (s.x for s in spots))
    up = _range(shown.up, (*heights, *held))
    left = 14 + 6.4 * max((len(text) for _, text in _ticks(up, shown.up)), default=2)
    right = room([series.name for series in shown.series])
    return Frame(width, height, across, up, left=left, right=right, bottom=34)


def _range(axis: Axis, values: Iterable[Real]) -> tuple[Real, Real]:
    drawable = [axis.place(v) for v in (*values, *axis.include) if v > 0 or not axis.log]
    return domain(drawable)


def _ticks(span: tuple[Real, Real], axis: Axis) -> list[tuple[Real, str]]:
    """Places and labels: round numbers, on a logarithmic axis powers of ten, or 1, 2 and 5 of each where few fit."""
    if not axis.log:
        return [(x, short(0 if abs(x) < 1e-9 * (span[1] - span[0]) else x)) for x in ticks(*span)]
    first, last = math.floor(span[0]), math.ceil(span[1])
    every = max(1, math.ceil((last - first) / 8))
    factors = (1,) if span[1] - span[0] > 2 else (1, 2, 5)
    found = [(p + math.log10(f), short(f * 10.0**p, 1)) for p in range(first, last + 1, every) for f in factors]
    return [(x, text) for x, text in found if span[0] - 1e-9 <= x <= span[1] + 1e-9]


def _grid(shown: Lines, frame: Frame) -> list[str]:
    parts = []
    for place, text in _ticks(frame.up, shown.up):
        y = frame.y(place)
        parts.append(line(frame.left, y, frame.width - frame.right, y, "gr"))
        parts.append(words(frame.left - 5, y + 4, text, "tk yt", anchor="end"))
    return parts


def _upright(shown: Lines, frame: Frame) -> list[str]:
    if shown.upright is None:
        return []
    x = frame.x.inside(shown.across.place(shown.upright[0]))
    return [line(x, frame.top, x, frame.floor, "th"), words(x + 4, frame.top + 10, shown.upright[1], "lb")]


def _drawn(series: Series, shown: Lines, frame: Frame) -> list[str]:
    places = [_place(spot, shown, frame) for spot in series.spots]
    known = [(frame.x(shown.across.place(s.x)), e) for s in series.spots if s.value.known and (e := ends(s.value))]
    lows, highs = ([(x, _height(e[end], shown, frame)) for x, e in known] for end in (0, 1))
    parts = [band(lows, highs, series.role)] if len(known) > 1 and not series.thin else []
    if len(known) == 1:
        parts.append(whisker(lows[0][0], lows[0][1], highs[0][1], series.role))
    parts += joined(places, series.role, thin=series.thin)
    dense = len(places) > MARKED
    for spot, place in zip(series.spots, places, strict=True):
        if place is None:
            x = frame.x(shown.across.place(spot.x))
            parts.append(hatch(x - 4, frame.top, 8, frame.floor - frame.top, record=spot.value.record))
        elif not dense or spot is series.spots[0]:
            size = 2 if series.thin else 3.4
            parts.append(mark(*place, series.role_of(spot), hollow=spot.hollow, record=spot.value.record, size=size))
    return parts


def _place(spot: Spot, shown: Lines, frame: Frame) -> tuple[Real, Real] | None:
    if spot.value.estimate is None:
        return None
    return frame.x(shown.across.place(spot.x)), frame.y(shown.up.place(spot.value.estimate))


def _height(end: Real, shown: Lines, frame: Frame) -> Real:
    return frame.floor if shown.up.log and end <= 0 else frame.y.inside(shown.up.place(end))


def _names(shown: Lines, frame: Frame) -> list[str]:
    """Names at the right end of the lines, pushed apart, with a leader where they had to move."""
    rows = [(s, known[-1]) for s in shown.series if s.name and (known := [p for p in s.spots if p.value.known])]
    ends_at = [_place(spot, shown, frame) for _, spot in rows]
    wanted = [place[1] for place in ends_at if place]
    found, edge = [], frame.width - frame.right + 4
    heights: Sequence[Real] = spread(wanted, frame.top, frame.floor - 6, gap=14)
    for (series, spot), place, at in zip(rows, ends_at, heights, strict=True):
        if place and (abs(at - place[1]) > 6 or place[0] < edge - 20):
            found.append(line(min(place[0] + 6, edge - 2), place[1], edge - 1, at, "ld"))
        found.append(words(edge, at + 4, series.name, f"dl {series.role}", data_record=spot.value.record))
    return found
