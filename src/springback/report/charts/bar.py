"""The interval bar of one axis: the estimate between named places, its placebos on the same line."""

from collections.abc import Sequence

from markupsafe import Markup

from springback.report.charts.frame import apart
from springback.report.charts.marks import ends, hatch, mark
from springback.report.charts.scales import Scale
from springback.report.charts.svg import line, svg, words
from springback.report.value import Real, Value

WIDTH, HEIGHT = 240.0, 40.0


def bar(value: Value, named: Sequence[tuple[Real, str]], role: str, placebos: Sequence[Value] = ()) -> Markup:
    """`named` are the places with words; the line reaches from the lowest to the highest of all that is on it."""
    known = [v for v in (value.estimate, value.low, value.high, *(x for x, _ in named)) if v is not None]
    known += [v.estimate for v in placebos if v.estimate is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    x = Scale((low, high), (8.0, WIDTH - 12.0))
    parts = [line(8, 13, WIDTH - 12, 13, "gr2"), *(line(x(at), 7, x(at), 19, "st") for at, _ in named)]
    for at, text in apart([(x(at), text) for at, text in named]):
        half = len(text) * 3.0
        parts.append(words(min(max(at, half), WIDTH - half), 34, text, "tk", anchor="middle"))
    parts += [mark(x(p.estimate), 13, "pb", record=p.record) for p in placebos if p.estimate is not None]
    if value.estimate is None:
        parts.append(hatch(8, 6, WIDTH - 20, 14, record=value.record))
        return svg(WIDTH, HEIGHT, parts, name="pl cell")
    if found := ends(value):
        parts.append(line(x(found[0]), 13, x(found[1]), 13, f"wk fat {role}"))
    parts.append(mark(x(value.estimate), 13, role, record=value.record))
    return svg(WIDTH, HEIGHT, parts, name="pl cell")
