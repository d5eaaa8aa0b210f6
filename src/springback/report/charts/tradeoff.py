"""Several runs in one picture: what alignment gained, against how many opposite examples undo half of it."""

from dataclasses import dataclass

from markupsafe import Markup

from springback.report.charts.frame import Frame, Tick
from springback.report.charts.labels import Label, place
from springback.report.charts.marks import ends, hatch, mark
from springback.report.charts.scales import decimals, domain, size_place, ticks
from springback.report.charts.svg import line, svg, tag, words
from springback.report.numbers import Style, bare, count
from springback.report.value import Real, Value


@dataclass(frozen=True, slots=True)
class Dot:
    """One run."""

    name: str
    gain: Value
    price: int | None
    """The smallest n at which half is undone; None where no size did."""
    most: int
    """The largest n that was tried."""


def tradeoff(dots: tuple[Dot, ...], style: Style, batch: Real, *, label: str) -> Markup:
    """Gain to the right, price upwards. A hollow mark with an arrow: half was not undone at the largest n tried."""
    ns = sorted({n for d in dots for n in (d.price, d.most) if n})
    top = size_place(max(ns, default=int(batch)), batch)
    known = [end for d in dots for end in (d.gain.low, d.gain.high, d.gain.estimate)]
    frame = Frame(
        720, 340, domain(known, include=[0.0]), (0.0, top * 1.15), left=56, right=24, top=20, bottom=40, style=style
    )
    places = [(d, frame.x(d.gain.estimate), frame.y(size_place(d.price or d.most, batch)))
              for d in dots if d.gain.estimate is not None]  # fmt: skip
    parts = [*_rows(frame, ns, batch), line(frame.x(0.0), frame.top, frame.x(0.0), frame.floor, "st")]
    for dot, x, y in places:
        parts += _dot(dot, x, y, frame)
    names = [Label(x, y, d.name, "dl", size=12.5) for d, x, y in places]
    bars = [[(frame.x(e[0]), y), (frame.x(e[1]), y)] for d, _, y in places if (e := ends(d.gain))]
    parts += [one.draw() for one in place(names, frame.bounds, bars, [(x, y) for _, x, y in places])]
    parts += frame.baseline(_columns(frame, style), f"gain in margin, {style.unit.lstrip('·')}")
    if not places:
        box = hatch(frame.left, frame.top, frame.width - frame.left - frame.right, frame.floor - frame.top)
        parts += [box, words(frame.width / 2, frame.height / 2, "not reportable", "nr", anchor="middle")]
    return svg(frame.width, frame.height, parts, label=label)


def _rows(frame: Frame, ns: list[int], batch: Real) -> list[str]:
    found = [words(frame.left - 44, frame.top - 8, "opposite examples that undo half", "lb")]
    for n in ns:
        y = frame.y(size_place(n, batch))
        found += [
            line(frame.left, y, frame.width - frame.right, y, "gr"),
            words(frame.left - 6, y + 4, count(n), "tk", anchor="end"),
        ]
    return found


def _columns(frame: Frame, style: Style) -> list[Tick]:
    marks = ticks(*(end * style.scale for end in frame.across), most=7)
    printed = Style(decimals(marks))
    return [Tick(m / style.scale, (bare(m, printed),)) for m in marks]


def _dot(dot: Dot, x: Real, y: Real, frame: Frame) -> list[str]:
    parts = []
    if found := ends(dot.gain):
        parts.append(line(frame.x(found[0]), y, frame.x(found[1]), y, "wk al"))
    if dot.price is None:
        parts.append(tag("path", d=f"M{x:.1f} {y - 7:.1f}v-16m-4 6l4 -6l4 6", class_="br"))
    parts.append(mark(x, y, "al", hollow=dot.price is None, record=dot.gain.record))
    return parts
