"""Two pictures for many pairs: how a number is distributed, and predicted against measured.

Roles as on the whole page: al the chosen answer (circle), rv the rejected one (triangle).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from springback.report.charts.frame import Frame, Tick
from springback.report.charts.labels import spread
from springback.report.charts.marks import mark
from springback.report.charts.scales import domain, ticks
from springback.report.charts.svg import line, polygon, polyline, svg, words
from springback.report.numbers import count, short
from springback.report.value import Real

BINS: Final = 32
DRAWN: Final = 600
"""Marks of a scatter; of more answers every so many is drawn, and the caption says so."""


@dataclass(frozen=True, slots=True)
class Heap:
    """One distribution: its values, and how it is told from another one in the same picture."""

    role: str
    name: str
    values: tuple[Real, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One answer of one pair under one step."""

    predicted: Real
    measured: Real
    role: str
    record: str
    hollow: bool = False


def heaps(label: str, found: Sequence[Heap], axis: str, *, span: tuple[Real, Real], upright: Sequence[tuple[Real, str]],
          width: Real = 520, height: Real = 230) -> Markup:  # fmt: skip
    """Step outlines over `span`; what lies outside is counted into the outermost bins. `upright`: named places."""
    tall = [_counts(heap.values, span) for heap in found]
    most = max((max(row, default=0) for row in tall), default=0) or 1
    frame = Frame(width, height, span, (0.0, most * 1.05), left=40, right=10, bottom=34, top=30)
    parts = [*_levels(frame), *_places(frame, upright)]
    for heap, row in zip(found, tall, strict=True):
        parts += _outline(row, heap.role, frame, span)
    parts += _names(found, tall, frame, span)
    marks = [Tick(x, (short(x),)) for x in ticks(*span)]
    said = [
        f"{heap.name}: {len(heap.values)} pairs, median {short(_median(heap.values))}" for heap in found if heap.values
    ]
    return svg(width, height, [*parts, words(2, 12, "pairs", "lb"), *frame.baseline(marks, axis)],
               label=f"{label}. {axis}. {'; '.join(said)}.")  # fmt: skip


def scatter(label: str, points: Sequence[Point], *, width: Real = 520, height: Real = 330) -> Markup:
    """Measured against predicted with the diagonal on which both are equal; the axes share one scale."""
    drawn = points[:: max(1, -(-len(points) // DRAWN))]
    both = domain([x for point in drawn for x in (point.predicted, point.measured)], include=(0.0,))
    frame = Frame(width, height, both, both, left=64, right=12, bottom=34, top=30)
    parts = [part for tick in ticks(*both) for part in _level(frame, tick)]
    parts += [line(frame.x(both[0]), frame.y(both[0]), frame.x(both[1]), frame.y(both[1]), "st"),
              line(frame.x(0.0), frame.top, frame.x(0.0), frame.floor, "th"), frame.reference(0.0, "th")]  # fmt: skip
    parts += [mark(frame.x(p.predicted), frame.y(p.measured), p.role, hollow=p.hollow, record=p.record, size=3)
              for p in drawn]  # fmt: skip
    across = [Tick(x, (short(x),)) for x in ticks(*both, most=5)]
    signs = sum((p.predicted > 0) == (p.measured > 0) for p in points)
    spoken = f"{label}. Measured against predicted change, nat; {len(points)} answers, {signs} with the predicted sign."
    return svg(width, height, [*parts, words(2, 12, "measured change, nat", "lb"),
                               *frame.baseline(across, "predicted change, nat")], label=spoken)  # fmt: skip


def _counts(values: Sequence[Real], span: tuple[Real, Real]) -> list[int]:
    found = [0] * BINS
    for value in values:
        place = int((value - span[0]) / (span[1] - span[0]) * BINS)
        found[min(BINS - 1, max(0, place))] += 1
    return found


def _outline(row: Sequence[int], role: str, frame: Frame, span: tuple[Real, Real]) -> list[str]:
    edges = [span[0] + (span[1] - span[0]) * i / BINS for i in range(BINS + 1)]
    steps = [(frame.x(edges[i + side]), frame.y(n)) for i, n in enumerate(row) for side in (0, 1)]
    floor = [(frame.x(edges[-1]), frame.y(0)), (frame.x(edges[0]), frame.y(0))]
    return [polygon([*steps, *floor], f"bd {role}"), polyline(steps, f"ln {role}")]


def _names(found: Sequence[Heap], tall: Sequence[Sequence[int]], frame: Frame, span: tuple[Real, Real]) -> list[str]:
    """The name of each outline beside its highest bin, pushed apart."""
    tops = [(max(range(BINS), key=row.__getitem__), max(row)) for row in tall]
    heights = spread([frame.y(n) for _, n in tops], frame.top, frame.floor - 6, gap=14)
    parts = []
    for heap, (place, _), at in zip(found, tops, heights, strict=True):
        x = frame.x(span[0] + (span[1] - span[0]) * (place + 0.5) / BINS)
        left = x > frame.width / 2
        parts.append(
            words(x - 12 if left else x + 12, at + 4, heap.name, f"dl {heap.role}", anchor="end" if left else "start")
        )
    return parts


def _levels(frame: Frame) -> list[str]:
    whole = [tick for tick in ticks(*frame.up, most=4) if tick == int(tick)]
    return [part for tick in whole for part in _level(frame, tick, count(tick))]


def _level(frame: Frame, tick: Real, text: str | None = None) -> list[str]:
    y = frame.y(tick)
    return [line(frame.left, y, frame.width - frame.right, y, "gr"),
            words(frame.left - 5, y + 4, short(tick) if text is None else text, "tk yt", anchor="end")]  # fmt: skip


def _places(frame: Frame, upright: Sequence[tuple[Real, str]]) -> list[str]:
    parts = []
    for x, name in upright:
        at = frame.x(x)
        parts += [line(at, frame.top - 8, at, frame.floor, "st"), words(at + 4, frame.top - 2, name, "lb")]
    return parts


def _median(values: Sequence[Real]) -> Real:
    ranked = sorted(values)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
