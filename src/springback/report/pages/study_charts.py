"""One point a combination: what a method does to the chosen answers, against the margin that it makes."""

from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.frame import Frame, Tick
from springback.report.charts.labels import Label, place
from springback.report.charts.marks import ends, mark
from springback.report.charts.scales import domain, ticks
from springback.report.charts.svg import line, svg, words
from springback.report.numbers import short
from springback.report.value import Real, Value


@dataclass(frozen=True, slots=True)
class Dot:
    """One loss with one cure on one data set."""

    name: str
    margin: Value
    chosen: Value
    cured: bool


def scatter(dots: tuple[Dot, ...], *, label: str) -> Markup:
    """Margin to the right, change of the chosen answers upwards, both in nats, with their intervals."""
    known = tuple(dot for dot in dots if dot.margin.known and dot.chosen.known)
    frame = Frame(520, 340, _span([d.margin for d in known]), _span([d.chosen for d in known]), left=52, right=16,
                  bottom=38)  # fmt: skip
    zero = [line(frame.x(0.0), frame.top, frame.x(0.0), frame.floor, "st"), frame.reference(0.0)]
    parts = [*frame.grid(), *zero]
    for dot in known:
        parts += _dot(dot, frame)
    at = [_at(dot, frame) for dot in known]
    labels = [Label(*where, dot.name, "dl", size=11, record=dot.chosen.record)
              for where, dot in zip(at, known, strict=True)]  # fmt: skip
    parts += [one.draw() for one in place(labels, frame.bounds, (), at)]
    across = [Tick(x, (short(0 if abs(x) < 1e-9 else x),)) for x in ticks(*frame.across)]
    parts += frame.baseline(across, "held-out margin, nat")
    parts.append(words(2, 12, "change of chosen, nat", "lb"))
    return svg(frame.width, frame.height, parts, label=f"{label}. {_spoken(known)}")


def _at(dot: Dot, frame: Frame) -> tuple[Real, Real]:
    assert dot.margin.estimate is not None
    assert dot.chosen.estimate is not None
    return frame.x(dot.margin.estimate), frame.y(dot.chosen.estimate)


def _dot(dot: Dot, frame: Frame) -> list[str]:
    x, y = _at(dot, frame)
    role, parts = "al" if dot.cured else "rv", []
    if found := ends(dot.margin):
        parts.append(line(frame.x.inside(found[0]), y, frame.x.inside(found[1]), y, f"wk {role}"))
    if found := ends(dot.chosen):
        parts.append(line(x, frame.y.inside(found[0]), x, frame.y.inside(found[1]), f"wk {role}"))
    return [*parts, mark(x, y, role, record=dot.chosen.record)]


def _span(values: list[Value]) -> tuple[Real, Real]:
    """Wide enough for the values, and for intervals that are no wider than three times their spread."""
    middle = [v.estimate for v in values if v.estimate is not None]
    room = 1.5 * (max((*middle, 0.0)) - min((*middle, 0.0)))
    low, high = min((*middle, 0.0)) - room, max((*middle, 0.0)) + room
    reach = [max(low, min(high, end)) for v in values for end in (v.low, v.high) if end is not None]
    return domain([*middle, *reach, 0.0])


def _spoken(dots: tuple[Dot, ...]) -> str:
    return "; ".join(
        f"{dot.name}: margin {short(dot.margin.estimate or 0)}, chosen {short(dot.chosen.estimate or 0)}"
        for dot in dots
    )
