"""Does an aligned model fall further under the same reversal than an equally tuned, unaligned one?"""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from springback.report.charts.falls import Falls, falls
from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.marks import OF_ARM
from springback.report.charts.row import Column, interval_row, scale_row
from springback.report.charts.scales import domain, size_place
from springback.report.evidence import Evidence
from springback.report.markup import num
from springback.report.numbers import STYLES, sized
from springback.report.point import Contrast, Size
from springback.report.sections.differences import NAMES, against, data, differences, heading, largest_tested
from springback.report.sections.words import ARMS, ORDER, size_words, steps, verdict_of
from springback.report.tables import Table
from springback.report.value import Real

READINGS: Final = (("margin", "decides"), ("score", "what people see"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table under a chart."""

    against: str
    n: int
    seed: str
    bar: Markup
    value: Markup
    outcome: str
    deciding: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One reading: its chart and its table."""

    reading: str
    role: str
    unit: str
    counted: str
    chart: Markup | None
    scale: Markup | None
    rows: tuple[Row, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class View:
    heading: str
    size: str
    sides: tuple[Side, ...]
    note: str
    data: Table


def view(evidence: Evidence) -> View:
    """What the section shows; its heading says what the tests support."""
    size = largest_tested(evidence)
    sides = tuple(side for reading, role in READINGS if (side := _side(evidence, reading, role, size)))
    return View(heading(evidence, size), size_words(size), sides, _note(evidence, size), data(evidence))


def _side(evidence: Evidence, reading: str, role: str, size: Size) -> Side | None:
    found = differences(evidence, reading, size)
    dropped = [c for c in evidence.find("fall", reading=reading) if c.aligned in (size, "given") or c.arm != "main"]
    if not found and not dropped:
        return None
    known = [c.value for c in (*found, *dropped) if c.value.known]
    counted = f"{known[0].n} {known[0].over}" if known else ""
    unit = STYLES[reading].unit.lstrip("·") or "score"
    if not known:
        why = next((c.value.why for c in (*found, *dropped)), "")
        return Side(reading, role, unit, counted, None, None, _rows(evidence, found), why)
    return Side(
        reading, role, unit, counted, _chart(evidence, reading, size, dropped), _scale(found), _rows(evidence, found)
    )


def _chart(evidence: Evidence, reading: str, size: Size, dropped: list[Contrast]) -> Markup | None:
    first = min((c.seed for c in dropped), default="all")
    lines = {arm: _series(evidence, arm, [c for c in dropped if c.arm == arm and c.seed == first]) for arm in ORDER}
    main = lines.pop("main")
    known = [s for s in (main, *lines.values()) if any(spot.value.known for spot in s.spots)]
    if not known:
        return None
    last = max(spot.x for s in known for spot in s.spots)
    ns = sorted({c.reversed for c in dropped if c.reversed})
    ticks = (
        Tick(0.0, ("before",)),
        *(Tick(size_place(n, evidence.batch), (sized("n", n),), steps(evidence, n)) for n in ns),
    )
    ends = [end for s in known for spot in s.spots for end in (spot.value.low, spot.value.high, spot.value.estimate)]
    frame = Frame(
        500, 232, (0.0, last), domain(ends, include=[0.0]), left=40, right=196, top=12, bottom=34, style=STYLES[reading]
    )
    difference = next((c.value for c in _against_benign(evidence, reading, size) if _place(evidence, c) == last), None)
    shown = Falls(
        f"Fall in {reading} since before the reversal, {size_words(size)}", main,
        tuple(s for arm, s in lines.items() if s in known and arm in OF_ARM), ticks, difference,
    )  # fmt: skip
    return falls(shown, frame)


def _against_benign(evidence: Evidence, reading: str, size: Size) -> list[Contrast]:
    return [c for c in differences(evidence, reading, size) if against(c) == "benign"]


def _place(evidence: Evidence, contrast: Contrast) -> Real:
    return size_place(contrast.reversed, evidence.batch)


def _series(evidence: Evidence, arm: str, found: list[Contrast]) -> Series:
    ordered = sorted(found, key=lambda c: c.reversed)
    spots = tuple(Spot(_place(evidence, c), c.value) for c in ordered if c.value.known)
    return Series("rv" if arm == "main" else OF_ARM[arm], spots, "then benign" if arm == "continuation" else ARMS[arm])


def _column(found: list[Contrast]) -> Column:
    values = [end for c in found for end in (c.value.low, c.value.high, c.value.estimate)]
    reading = found[0].reading if found else "margin"
    return Column(domain(values, include=[0.0]), 0.0, style=STYLES[reading])


def _scale(found: list[Contrast]) -> Markup | None:
    return scale_row(_column(found)) if found else None


def _rows(evidence: Evidence, found: list[Contrast]) -> tuple[Row, ...]:
    column, several = _column(found), len({c.seed for c in found}) > 1
    decider = _deciding(evidence, found)
    return tuple(
        Row(
            NAMES[against(c)], c.reversed, f"seed {c.seed}" if several else "",
            interval_row(c.value, column, "rv", hollow=verdict_of(evidence, c) == 0),
            num(c.value, c.reading, sign=True, unit=False), _said(evidence, c, decides=c is decider), c is decider,
        )
        for c in found
    )  # fmt: skip


def _said(evidence: Evidence, contrast: Contrast, *, decides: bool) -> str:
    if not contrast.value.known:
        return contrast.value.why
    word = ("falls further", "undecided", "falls less far")[verdict_of(evidence, contrast) + 1]
    return f"{word} · decides" if decides and verdict_of(evidence, contrast) else word


def _deciding(evidence: Evidence, found: list[Contrast]) -> Contrast | None:
    """The margin against the benign chain at the point that the verdict rests on."""
    if evidence.one("verdict").get("label") not in ("springs_back", "holds"):
        return None
    at = [c for c in found if c.reading == "margin" and (c.aligned, c.reversed) == evidence.deciding]
    return next((c for c in at if against(c) == "benign"), next(iter(at), None))


def _note(evidence: Evidence, size: Size) -> str:
    """What is missing among the placebos, and where score and margin disagree."""
    found = {against(c) for c in differences(evidence, "margin", size)}
    missing = [NAMES[arm] for arm in ("benign", "continuation") if arm not in found]
    words = [f"Not run as a placebo: {' and '.join(missing)}."] if missing else []
    margin = {(against(c), c.reversed): verdict_of(evidence, c) for c in differences(evidence, "margin", size)}
    words += [
        f"Against the {NAMES[against(c)]} after {c.reversed} the score cannot tell; the margin can."
        for c in differences(evidence, "score", size)
        if margin.get((against(c), c.reversed)) and c.value.known and not verdict_of(evidence, c)
    ]
    return " ".join(words)
