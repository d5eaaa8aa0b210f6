"""Where a label stands, by a rule: the nearest free place around its point, the most important label first.

Widths are estimated from the number of characters (no font is measured), with a margin for the widest system font.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from springback.report.charts.svg import words
from springback.report.value import Real

WIDE: Final = 0.61
"""Mean width of a character, in font sizes."""
LINE: Final = 13.0
"""Height of a line of labels, in user units."""

Box = tuple[Real, Real, Real, Real]
Place = tuple[Real, Real]


@dataclass(frozen=True, slots=True)
class Label:
    """A text that wants to stand near a point."""

    x: Real
    y: Real
    text: str
    name: str
    """CSS classes."""
    size: Real = 11.5
    record: str | None = None

    @property
    def width(self) -> Real:
        return len(self.text) * self.size * WIDE


@dataclass(frozen=True, slots=True)
class Placed:
    """A label with its place: `x` is its left end, `y` its baseline."""

    label: Label
    x: Real
    y: Real

    @property
    def box(self) -> Box:
        return self.x, self.y - self.label.size * 0.8, self.x + self.label.width, self.y + self.label.size * 0.25

    def draw(self) -> str:
        return words(self.x, self.y, self.label.text, self.label.name, data_record=self.label.record)


def place(
    labels: Sequence[Label], bounds: Box, lines: Iterable[Sequence[Place]] = (), marks: Iterable[Place] = ()
) -> list[Placed]:
    """Put each label, in the order given, where it covers least: of other labels, then marks, then lines."""
    taken: list[Box] = []
    dots = [(x - 5, y - 5, x + 5, y + 5) for x, y in marks]
    along = [dot for one in lines for dot in _dotted(one)]
    found = []
    for label in labels:
        best = min(_candidates(label, bounds), key=lambda one: _cost(one, bounds, taken, dots, along))
        taken.append(best.box)
        found.append(best)
    return found


def spread(wanted: Sequence[Real], low: Real, high: Real, *, gap: Real = LINE) -> list[Real]:
    """Heights as near as can be to those wanted, at least `gap` apart, within [low, high] where there is room."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    places: list[Real] = []
    for i in order:
        places.append(max(wanted[i], places[-1] + gap if places else low))
    over = max(0.0, places[-1] - high) if places else 0.0
    for k in range(len(places) - 1, -1, -1):
        limit = places[k + 1] - gap if k + 1 < len(places) else high
        if over:
            places[k] = min(places[k], limit)
    result = [0.0] * len(wanted)
    for k, i in enumerate(order):
        result[i] = places[k]
    return result


def _candidates(label: Label, bounds: Box) -> list[Placed]:
    """Above, below, to the right, to the left; then farther away; all held within the bounds."""
    w, h = label.width, label.size
    spots = []
    for reach in (0.0, 8.0, 18.0, 30.0):
        up, down = label.y - 7 - reach, label.y + h + 6 + reach
        spots += [(label.x - w / 2, up), (label.x - w / 2, down), (label.x + 4, up), (label.x - w - 4, up)]
        spots += [(label.x + 4, down), (label.x - w - 4, down)]
    spots += [(label.x + 8, label.y + h / 3), (label.x - w - 8, label.y + h / 3)]
    left, top, right, bottom = bounds
    held = ((min(max(x, left), right - w), min(max(y, top + h * 0.8), bottom - 2)) for x, y in spots)
    return [Placed(label, x, y) for x, y in held]


def _cost(one: Placed, bounds: Box, taken: Sequence[Box], dots: Sequence[Box], along: Sequence[Place]) -> Real:
    box, label = one.box, one.label
    away = abs((box[0] + box[2]) / 2 - label.x) + abs((box[1] + box[3]) / 2 - label.y)
    covered = sum(_overlap(box, other) for other in taken) * 20 + sum(_overlap(box, dot) for dot in dots) * 4
    crossed = sum(1 for x, y in along if box[0] - 1 <= x <= box[2] + 1 and box[1] - 1 <= y <= box[3] + 1)
    outside = max(0.0, bounds[0] - box[0]) + max(0.0, box[2] - bounds[2])
    return covered + crossed * 6 + away * 1.2 + outside * 100


def _overlap(a: Box, b: Box) -> Real:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _dotted(points: Sequence[Place], step: Real = 3.0) -> list[Place]:
    """A line as points, so that a label can tell what it crosses."""
    found = []
    for (x1, y1), (x2, y2) in pairwise(points):
        n = max(1, int(max(abs(x2 - x1), abs(y2 - y1)) / step))
        found += [(x1 + (x2 - x1) * i / n, y1 + (y2 - y1) * i / n) for i in range(n + 1)]
    return found
