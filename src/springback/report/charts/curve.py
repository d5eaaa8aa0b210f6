"""A small curve with its reference and placebos inside: layer swap, prefill, KL by position."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.frame import Frame, Series, Tick
from springback.report.charts.labels import spread
from springback.report.charts.marks import PLACEBOS, band, ends, hatch, joined, mark, whisker
from springback.report.charts.svg import line, svg, tag, words
from springback.report.numbers import bare, full
from springback.report.value import Real


@dataclass(frozen=True)
class Curve:
    """What one curve chart shows."""

    label: str
    series: tuple[Series, ...]
    """Drawn in order, so the main one comes last."""
    ticks: tuple[Tick, ...]
    axis: str
    reference: Real | None = None
    """A line to be clear of (0 for shares): marks within it are hollow."""
    threshold: tuple[Real, str] | None = None
    crossing: tuple[Real, Real, str] | None = None
    """Where the threshold is crossed, as a range on the horizontal axis, with words."""
    values: bool = True
    """Whether the last value stands beside the name."""


def curve(shown: Curve, frame: Frame) -> Markup:
    parts = [*_crossing(shown, frame), *frame.grid()]
    if shown.reference is not None:
        parts.append(frame.reference(shown.reference))
    if shown.threshold:
        y = frame.y.inside(shown.threshold[0])
        parts += [frame.reference(shown.threshold[0], "th"), words(frame.left + 4, y - 4, shown.threshold[1], "lb")]
    for index, series in enumerate(shown.series):
        parts += _drawn(series, frame, shown.reference, index)
    parts += [*_names(shown, frame), *_missing(shown, frame), *frame.baseline(shown.ticks, shown.axis)]
    return svg(frame.width, frame.height, parts, label=spoken(shown, frame))


def spoken(shown: Curve, frame: Frame) -> str:
    """Every value in words."""
    lines = []
    for series in shown.series:
        values = [f"{tick_of(shown, s.x)}: {full(s.value, frame.style, unit=False)}" for s in series.spots]
        lines.append(f"{series.name}: " + "; ".join(values))
    return f"{shown.label}. " + ". ".join(lines)


def tick_of(shown: Curve, x: Real) -> str:
    return next((t.labels[0] for t in shown.ticks if t.x == x), f"{x:g}")


def _drawn(series: Series, frame: Frame, reference: Real | None, index: int) -> list[str]:
    places = [
        None if s.value.estimate is None else (frame.x(s.x), frame.y.inside(s.value.estimate)) for s in series.spots
    ]
    known = [(frame.x(s.x), e) for s in series.spots if s.value.known and (e := ends(s.value))]
    lows = [(x, frame.y.inside(e[0])) for x, e in known]
    highs = [(x, frame.y.inside(e[1])) for x, e in known]
    parts = []
    if series.thin:
        return joined(places, series.role, thin=True) + [
            mark(*p, series.role, record=s.value.record, size=1.5)
            for s, p in zip(series.spots, places, strict=True)
            if p
        ]
    if series.role in PLACEBOS:
        parts += [whisker(x, low, high, series.role) for (x, low), (_, high) in zip(lows, highs, strict=True)]
    elif len(known) > 1:
        parts.append(band(lows, highs, series.role))
    parts += joined(places, series.role)
    if len(places) > 40:  # one mark a position would hide the line
        return parts + [mark(*p, series.role, record=series.spots[0].value.record) for p in places[:1] if p]
    for spot, spot_place in zip(series.spots, places, strict=True):
        if spot_place:
            hollow = reference is not None and not spot.value.decided(reference)
            parts.append(mark(*spot_place, series.role_of(spot), hollow=hollow, record=spot.value.record, size=3.4))
    return parts


def _names(shown: Curve, frame: Frame) -> list[str]:
    """Names at the right end of the lines, pushed apart, with a leader where they had to move."""
    rows = [(s, known[-1]) for s in shown.series if s.name and (known := [p for p in s.spots if p.value.known])]
    if not rows:
        return []
    wanted = [frame.y.inside(spot.value.estimate or 0.0) for _, spot in rows]
    heights = spread(wanted, frame.top, frame.floor - 6, gap=14)
    edge = frame.width - frame.right + 4
    found = []
    for (series, spot), y, at in zip(rows, wanted, heights, strict=True):
        text = f"{series.name} {bare(spot.value.estimate or 0.0, frame.style)}" if shown.values else series.name
        if abs(at - y) > 6 or frame.x(spot.x) < edge - 20:
            found.append(line(min(frame.x(spot.x) + 6, edge - 2), y, edge - 1, at, "ld"))
        found.append(words(edge, at + 4, text, f"dl {series.role}", data_record=spot.value.record))
    return found


def _crossing(shown: Curve, frame: Frame) -> list[str]:
    if shown.crossing is None:
        return []
    low, high, text = shown.crossing
    left, right = frame.x.inside(low), frame.x.inside(high)
    box = tag("rect", x=left, y=frame.top, width=max(2.0, right - left), height=frame.floor - frame.top, class_="rg")
    middle = min(max((left + right) / 2, frame.left + len(text) * 3.3), frame.width - frame.right - len(text) * 3.3)
    return [box, words(middle, frame.floor - 8, text, "lb", anchor="middle")]


def _missing(shown: Curve, frame: Frame) -> list[str]:
    spots = [spot for series in shown.series for spot in series.spots]
    gone = [spot for spot in spots if not spot.value.known]
    if not gone or len(gone) < len(spots):
        return [
            hatch(frame.x(s.x) - 4, frame.top, 8, frame.floor - frame.top, record=s.value.record) for s in gone[:40]
        ]
    wide, tall = frame.width - frame.left - frame.right, frame.floor - frame.top
    middle = (frame.left + frame.width - frame.right) / 2
    box = hatch(frame.left, frame.top, wide, tall, record=gone[0].value.record)
    return [box, words(middle, (frame.top + frame.floor) / 2, "not reportable", "nr", anchor="middle")]


def room(names: Sequence[str]) -> Real:
    """Width to leave at the right for the names of the lines."""
    return max((len(name) for name in names), default=0) * 6.6 + 10
