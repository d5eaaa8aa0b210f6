"""How much of the gain is undone, at which price: one row for each N and n, placebos below."""

from dataclasses import dataclass, replace
from typing import Final

from markupsafe import Markup

from springback.report.charts.marks import OF_ARM
from springback.report.charts.row import Column, interval_row, scale_row
from springback.report.charts.scales import domain
from springback.report.evidence import Evidence
from springback.report.markup import num
from springback.report.numbers import STYLES, fraction, sized
from springback.report.point import Contrast, order
from springback.report.sections.words import ORDER
from springback.report.tables import Table, columns, table, three

READINGS: Final = (("margin", "decides"), ("score", "what people see"))
PLACEBOS: Final = {"benign": "benign-tuned", "continuation": "then benign", "from_start": "start, untuned"}
"""Their falls as shares of the gain at the largest N."""
HALF: Final = 0.5
LEAST, MOST = -0.6, 2.1
"""Ends of the scale: a share beyond them is an arrow, with its number beside it."""


@dataclass(frozen=True, slots=True)
class Row:
    size: str
    n: str
    of: str
    bar: Markup
    value: Markup
    outcome: str
    placebo: bool
    deciding: bool
    missing: bool


@dataclass(frozen=True, slots=True)
class Side:
    reading: str
    role: str
    scale: Markup
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class View:
    sides: tuple[Side, ...]
    data: Table


def view(evidence: Evidence) -> View:
    sides = tuple(_side(evidence, reading, role) for reading, role in READINGS if shares(evidence, reading))
    return View(sides, data(evidence))


def shares(evidence: Evidence, reading: str) -> list[Contrast]:
    found = list(evidence.find("undone", reading=reading))
    return sorted(
        found, key=lambda c: (ORDER.index(c.arm) if c.arm in ORDER else 9, order(c.aligned), c.reversed, c.seed)
    )


def data(evidence: Evidence) -> Table:
    heads = ("reading", "arm", "seed", "N", "n", *columns("share"), "count", "over", "why", "record")
    rows = [
        (
            c.reading,
            c.arm,
            c.seed,
            c.aligned,
            c.reversed,
            *three(c.value),
            c.value.n,
            c.value.over,
            c.value.why,
            c.value.record,
        )
        for reading, _ in READINGS
        for c in shares(evidence, reading)
    ]
    return table("undone", "Share of the gain undone", heads, rows)


def counts(contrast: Contrast) -> bool:
    """Whether a share may count for springing back: n ≤ N/4 (a model as given has no N to compare with)."""
    return isinstance(contrast.aligned, str) or contrast.reversed * 4 <= contrast.aligned


def _side(evidence: Evidence, reading: str, role: str) -> Side:
    found = [c for c in shares(evidence, reading) if c.arm != "from_start" or c.aligned == evidence.largest]
    ends = [x for c in found for x in (c.value.low, c.value.high, c.value.estimate) if x is not None]
    span = domain([max(LEAST, min(MOST, x)) for x in ends], include=[0.0, 1.0])
    column = Column(
        span, 1.0, threshold=HALF, style=STYLES["share"], names=((0.0, "0"), (HALF, "½"), (1.0, "1 = start"))
    )
    several = len({c.seed for c in found}) > 1
    rows = [_row(evidence, c, column, several=several) for c in found]
    return Side(reading, role, scale_row(column), tuple(_without_repeats(rows)))


def _without_repeats(rows: list[Row]) -> list[Row]:
    """A size whose gain is not reportable has no share at any n, for one reason: one row says so."""
    kept: list[Row] = []
    for row in rows:
        last = kept[-1] if kept else None
        if last is not None and row.missing and last.missing and (row.size, row.outcome) == (last.size, last.outcome):
            kept[-1] = replace(last, n="any n", of="")
        else:
            kept.append(row)
    return kept


def _row(evidence: Evidence, contrast: Contrast, column: Column, *, several: bool) -> Row:
    settled = evidence.one("verdict").get("label") in ("springs_back", "holds")
    decider = settled and contrast.arm == "main" and (contrast.aligned, contrast.reversed) == evidence.deciding
    placebo = contrast.arm != "main"
    role = OF_ARM.get(contrast.arm, "rv")
    size = "as given" if isinstance(contrast.aligned, str) else sized("N", contrast.aligned)
    size = PLACEBOS.get(contrast.arm, size)
    seed = f", seed {contrast.seed}" if several else ""
    return Row(
        size=f"{size}{seed}",
        n=sized("n", contrast.reversed) if contrast.reversed else "any n",
        of=fraction(contrast.reversed, contrast.aligned),
        bar=interval_row(contrast.value, column, role, hollow=not contrast.value.decided(HALF)),
        value=num(contrast.value, "share"),
        outcome=_outcome(evidence, contrast),
        placebo=placebo,
        deciding=decider,
        missing=not contrast.value.known,
    )


def _outcome(evidence: Evidence, contrast: Contrast) -> str:
    v = contrast.value
    if v.estimate is None:
        return v.why
    if not v.decided(HALF):
        return "undecided"
    if contrast.name in _open_after_correction(evidence):
        return "undecided after correction"
    if v.estimate < HALF:
        return "less than half"
    return "at least half" if counts(contrast) or contrast.arm != "main" else "at least half; n > N/4"


def _open_after_correction(evidence: Evidence) -> set[str]:
    """Shares on which a test against one half was stated and none was decided."""
    outcomes: dict[str, set[str]] = {}
    for test in evidence.kind("test").values():
        name = str(test.get("contrast")).replace("/half_undone/", "/undone/")
        outcomes.setdefault(name, set()).add(str(test.get("outcome")))
    return {name for name, found in outcomes.items() if found == {"undecided"}}
