"""The frame of a chart: where the plot stands, its two axes, and what a series is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from springback.report.charts.scales import Scale, decimals, ticks
from springback.report.charts.svg import line, words
from springback.report.numbers import Style, bare
from springback.report.value import Real, Value


@dataclass(frozen=True, slots=True)
class Spot:
    """One value of a series at a place on the horizontal axis."""

    x: Real
    value: Value
    role: str = ""
    """Mark of this spot where it is not the series' own (the aligned model at the head of its reversal)."""
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One line: values in order, one role, a name that stands beside it."""

    role: str
    spots: tuple[Spot, ...]
    name: str = ""
    thin: bool = False
    """One seed of several: a thin line without marks or band."""

    def role_of(self, spot: Spot) -> str:
        return spot.role or self.role


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the horizontal axis with its label, in one unit or (examples, tokens, steps) in three."""

    x: Real
    labels: tuple[str, ...]
    below: str = ""
    """A second line."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a picture and the ranges of its axes."""

    width: Real
    height: Real
    across: tuple[Real, Real]
    """Lowest and highest place on the horizontal axis."""
    up: tuple[Real, Real]
    """Lowest and highest value on the vertical axis."""
    left: Real = 36
    right: Real = 10
    top: Real = 26
    bottom: Real = 22
    style: Style = field(default_factory=lambda: Style(2))
    """How values of the vertical axis are printed; ticks take their scale, not their decimals."""

    @property
    def x(self) -> Scale:
        return Scale(self.across, (self.left + 8, self.width - self.right - 8))

    @property
    def y(self) -> Scale:
        return Scale(self.up, (self.height - self.bottom, self.top))

    @property
    def floor(self) -> Real:
        return self.height - self.bottom

    @property
    def bounds(self) -> tuple[Real, Real, Real, Real]:
        """Where labels may stand."""
        return self.left - 2, self.top - 8, self.width - 1, self.floor - 2

    def grid(self, *, inner: bool = False) -> list[str]:
        """Horizontal grid with labels; `inner` panels of a row show theirs only where the row is stacked."""
        low, high = (end * self.style.scale for end in self.up)
        marks = ticks(low, high)
        style = Style(decimals(marks))
        found = []
        for mark in marks:
            y = self.y(mark / self.style.scale)
            found.append(line(self.left, y, self.width - self.right, y, "gr"))
            found.append(words(self.left - 5, y + 4, bare(mark, style), "tk yt" + " y2" * inner, anchor="end"))
        return found

    def baseline(self, marks: Iterable[Tick], title: str = "") -> list[str]:
        """The horizontal axis with its ticks; labels that would touch are left out, the last one never."""
        chosen = list(marks)
        found = [line(self.left, self.floor, self.width - self.right, self.floor, "ax")]
        found += [line(self.x(tick.x), self.floor, self.x(tick.x), self.floor + 3, "ax") for tick in chosen]
        for unit in range(max((len(t.labels) for t in chosen), default=0)):
            name = "tk" if len(chosen[0].labels) == 1 else ("tk u-ex", "tk u-tk", "tk u-st")[unit]
            found += self._row([(t.x, t.labels[unit]) for t in chosen], self.floor + 14, name)
        found += self._row([(t.x, t.below) for t in chosen if t.below], self.floor + 27, "tk")
        if title:
            middle = min(
                max((self.left + self.width - self.right) / 2, len(title) * 3.2), self.width - len(title) * 3.2
            )
            found.append(words(middle, self.floor + 29, title, "lb", anchor="middle"))
        return found

    def reference(self, y: Real, name: str = "st") -> str:
        """A horizontal reference line: the start (`st`) or a threshold (`th`)."""
        return line(self.left, self.y.inside(y), self.width - self.right, self.y.inside(y), name)

    def _row(self, labels: Sequence[tuple[Real, str]], y: Real, name: str) -> list[str]:
        places = apart([(self.x(x), text) for x, text in labels])
        return [words(self._within(x, text), y, text, name, anchor="middle") for x, text in places]

    def _within(self, x: Real, text: str) -> Real:
        half = len(text) * 3.2
        return min(x, self.width - half)


def apart(labels: Sequence[tuple[Real, str]]) -> list[tuple[Real, str]]:
    """Tick labels that do not touch: from the right end leftwards, since the last one is always kept; the first too."""
    kept: list[tuple[Real, str]] = []
    for x, text in reversed(labels):
        if not kept or x + len(text) * 3.2 + 4 <= kept[-1][0] - len(kept[-1][1]) * 3.2:
            kept.append((x, text))
    return kept[::-1]
