"""One meaning for a colour, a shape and a dash, on the whole page; none of the three is needed alone.

Roles (CSS classes): s0 start, al aligned, rv reversed, pb benign-tuned, pc benign continuation, pz start reversed.
"""

from collections.abc import Sequence
from typing import Final

from springback.report.charts.svg import line, number, polygon, polyline, tag
from springback.report.value import Real, Value

OF_ARM: Final = {"benign": "pb", "continuation": "pc", "from_start": "pz"}
PLACEBOS: Final = frozenset(OF_ARM.values())
Place = tuple[Real, Real]


def mark(x: Real, y: Real, role: str, *, hollow: bool = False, record: str | None = None, size: Real = 4) -> str:
    """A filled mark is decided, a hollow one undecided."""
    name = f"mk {role}" + (" ho" if hollow else "")
    if role == "s0":
        r = size + 1
        path = f"M{number(x)} {number(y - r)}l{r} {r}l-{r} {r}l-{r} -{r}z"
        return tag("path", d=path, class_=name, data_record=record)
    if role == "rv":
        path = f"M{number(x - 4.8)} {number(y - 3.6)}h9.6l-4.8 8.2z"
        return tag("path", d=path, class_=name, data_record=record)
    if role in PLACEBOS:
        return tag("rect", x=x - 3.4, y=y - 3.4, width=6.8, height=6.8, class_=name, data_record=record)
    return tag("circle", cx=x, cy=y, r=size, class_=name, data_record=record)


def whisker(x: Real, low: Real, high: Real, role: str) -> str:
    """A placebo's interval: upright, no caps."""
    return line(x, low, x, high, f"wk {role}")


def band(lows: Sequence[Place], highs: Sequence[Place], role: str) -> str:
    """A main line's interval."""
    return polygon([*highs, *reversed(lows)], f"bd {role}")


def joined(places: Sequence[Place | None], role: str, *, thin: bool = False) -> list[str]:
    """A line through the known places; it breaks where a value is missing."""
    name = f"ln {role}" + (" thin" if thin else "")
    return [polyline(run, name) for run in runs(places) if len(run) > 1]


def runs(places: Sequence[Place | None]) -> list[list[Place]]:
    """The stretches without a gap."""
    found: list[list[Place]] = [[]]
    for place in places:
        if place is None:
            found.append([])
        else:
            found[-1].append(place)
    return [run for run in found if run]


def hatch(x: Real, y: Real, width: Real, height: Real, *, record: str | None = None) -> str:
    """Not reportable: hatching in place of a mark, never a blank and never a 0."""
    return tag("rect", x=x, y=y, width=width, height=height, class_="ht", data_record=record)


def ends(value: Value) -> tuple[Real, Real] | None:
    """The interval of a value, if it has one."""
    return None if value.low is None or value.high is None else (value.low, value.high)
