"""What alignment gained, how steep the first step back is, and how far past the start the reversal goes, for each N."""

from dataclasses import dataclass

from markupsafe import Markup

from springback.report.evidence import Evidence
from springback.report.markup import num
from springback.report.numbers import sized
from springback.report.point import Contrast, Size
from springback.report.tables import Table, columns, table, three

READINGS = ("margin", "score")
KINDS = ("gain", "gain_beyond_benign", "slope", "overshoot", "steeper")


@dataclass(frozen=True, slots=True)
class Row:
    """One model; a cell for each reading of each kind."""

    name: str
    gain: tuple[Markup, ...]
    first: tuple[Markup, ...]
    past: tuple[Markup, ...]
    placebo: bool = False


@dataclass(frozen=True, slots=True)
class View:
    rows: tuple[Row, ...]
    most: int
    """The reversal size at which overshoot is read: the largest."""
    data: Table


def view(evidence: Evidence) -> View | None:
    """None where no gain was read."""
    found = [c for c in evidence.contrasts if c.kind in KINDS and c.reading in READINGS]
    if not any(c.kind == "gain" for c in found):
        return None
    most = max(evidence.reversals, default=0)
    rows = [_row(evidence, size, most) for size in evidence.sizes]
    rows += [row for row in (_benign(evidence), _beyond(evidence)) if row]
    return View(tuple(rows), most, data(found))


def data(found: list[Contrast]) -> Table:
    heads = ("kind", "reading", "arm", "seed", "N", "n", *columns("value"), "unit", "count", "over", "record")
    rows = [
        (
            *(c.kind, c.reading, c.arm, c.seed, c.aligned, c.reversed),
            *three(c.value),
            *(c.value.unit, c.value.n, c.value.over, c.value.record),
        )
        for c in found
    ]
    return table("gains", "Gain, first step and overshoot", heads, rows)


def _row(evidence: Evidence, size: Size, most: int) -> Row:
    name = "as given" if isinstance(size, str) else sized("N", size)
    gain = _cells(evidence, "gain", "main", size, 0)
    slope = _cells(evidence, "slope", "main", size, None)
    return Row(name, gain, slope, _cells(evidence, "overshoot", "main", size, most))


def _benign(evidence: Evidence) -> Row | None:
    found = evidence.contrast("gain", arm="benign")
    if found is None:
        return None
    name = f"benign-tuned, {sized('N', found.aligned)}"
    return Row(name, _cells(evidence, "gain", "benign", found.aligned, 0), (), (), placebo=True)


def _beyond(evidence: Evidence) -> Row | None:
    found = evidence.contrast("gain_beyond_benign")
    if found is None:
        return None
    name = f"{sized('N', found.aligned)}, less benign-tuned"
    return Row(name, _cells(evidence, "gain_beyond_benign", "main", found.aligned, 0), (), ())


def _cells(evidence: Evidence, kind: str, arm: str, size: Size, n: int | None) -> tuple[Markup, ...]:
    """One cell a reading: every seed's number where seeds were not pooled."""
    cells = []
    for reading in READINGS:
        found = [c for c in evidence.find(kind, reading=reading, arm=arm, aligned=size) if n in (None, c.reversed)]
        shown = [_number(c, named=len(found) > 1) for c in found]
        cells.append(Markup("<br>").join(shown) if shown else Markup("–"))
    return tuple(cells)


def _number(contrast: Contrast, *, named: bool) -> Markup:
    number = num(contrast.value, contrast.reading, sign=True, unit=False)
    return Markup("{} <span class='fr'>seed {}</span>").format(number, contrast.seed) if named else number
