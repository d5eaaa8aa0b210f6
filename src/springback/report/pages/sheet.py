"""A page for the runs of any command: head, sections of prose, charts and tables, provenance and BibTeX.

How to give a command its page. Write `report/pages/NAME.py` with a function from stored records to a `Sheet`, and add
one line to `pages/registry.py`; `write_report(run.path)` and `springback report RUN` then make `report.html`:

    def sheet(records: Records, meta: Mapping[str, Any]) -> Sheet:      # records: kind → key → body; meta: run.json
        rows = records.get("row", {})                                     # oldest first; empty where none is stored
        spots = tuple(Spot(b["k"], value(b["gamma"], f"row:{key}")) for key, b in rows.items())
        picture = lines(Lines("γ against k", (Series("al", spots, "γ"),), Axis("k", log=True), Axis("γ, bit/bit")))
        return Sheet(
            subject="1,024 strings", answer="It springs back, and not all the way.", lead="Twelve points, three seeds.",
            sections=(Section("Return", prose=("What is read.",), charts=(Chart(picture, "γ against k."),),
                              grid=Grid("Return by seed", ("seed", "share"), ((str(1), num(share)),)),
                              data=table("return", "Return by seed", ("seed", "share", "record"), rows)),),
            kinds=("row",),                                               # records that stand in the page as JSON
        )

Text is escaped; markup is what `report.markup` (`num`, `pointed`, `counted`) and `report.charts` made. Every number
comes from a record and points to it (`data-record`). `lines`, `Lines` and `Axis` stand in `report/charts/lines.py`,
`Series` and `Spot` in `charts/frame.py`, the roles (colour and mark) in `charts/marks.py`: s0 start or pretraining,
al aligned, rv reversed, pb placebo. Large record kinds go last in `kinds`: from the end, they are left out of a page
that would pass `LIMIT`, and the page says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from springback.report import embed
from springback.report.document import LIMIT, document
from springback.report.evidence import Evidence, Records
from springback.report.numbers import duration, memory
from springback.report.sections.provenance import pairs
from springback.report.tables import Table
from springback.report.value import finite

LINE: Final = 40
"""Characters of a cell that is not broken."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with what it shows in words."""

    picture: Markup
    caption: str
    fine: str = ""
    """The smaller second half of the caption: units, n, what a band is."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table to be read on the page; columns that hold markup (numbers) stand to the right."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str | Markup, ...], ...]

    @property
    def short(self) -> bool:
        """Every text fits on one line, so cells need not break."""
        return all(len(cell) <= LINE for row in self.rows for cell in row if not isinstance(cell, Markup))

    def right(self, column: int) -> bool:
        return column > 0 and any(isinstance(row[column], Markup) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Section:
    """One question and what was found."""

    title: str
    prose: tuple[str | Markup, ...] = ()
    charts: tuple[Chart, ...] = ()
    grid: Grid | None = None
    data: Table | None = None
    """All numbers behind the section: folded, and offered as CSV and JSON."""
    note: str = ""

    @property
    def id(self) -> str:
        """Where a link leads: the title in lower case."""
        return "s-" + re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What stands on a page. Titles of sections are distinct."""

    subject: str
    """What was examined, beside the command's name."""
    answer: str
    """One sentence."""
    lead: str
    sections: tuple[Section, ...]
    kinds: tuple[str, ...]
    """Record kinds that the page carries as JSON, the most important first."""
    label: str = ""
    """A verdict in a word or two."""
    record: str = ""
    """`kind:key` of the record that answer and lead come from."""

    def __post_init__(self) -> None:
        ids = [section.id for section in self.sections]
        if len(set(ids)) < len(ids):
            raise ValueError(f"Sections of a page need distinct titles, these share one: {ids}")


def written(sheet: Sheet, records: Records, meta: Mapping[str, Any], cited: str = "") -> str:
    """The page as text, with as many record kinds as fit into `LIMIT` bytes; the same records give the same bytes."""
    evidence = Evidence(records, meta)
    kinds = list(sheet.kinds)
    while len((text := _filled(sheet, evidence, tuple(kinds), cited)).encode()) > LIMIT and kinds:
        kinds.pop()
    return text


def _filled(sheet: Sheet, evidence: Evidence, kinds: tuple[str, ...], cited: str) -> str:
    meta = evidence.meta
    return document(
        "sheet.html.j2", data=embed.whole(evidence, kinds), sheet=sheet, bibtex=cited, meta=meta,
        missing=embed.left_out(evidence, kinds), asked=pairs(meta.get("asked")), hashes=pairs(meta.get("identity")),
        about=pairs(meta.get("about")), spent=_spent(meta.get("cost")), random_model=_tiny(meta.get("asked")),
    )  # fmt: skip


def _tiny(asked: object) -> bool:
    """Whether the model was the random one, asked for by itself or for the audits within."""
    return isinstance(asked, Mapping) and (bool(asked.get("tiny")) or _tiny(asked.get("audit")))


def _spent(cost: object) -> str:
    """Time and memory of the run; empty where they were not stored."""
    found = cost if isinstance(cost, Mapping) else {}
    seconds, peak = finite(found.get("seconds")), finite(found.get("peak_bytes"))
    words = [duration(seconds) if seconds is not None else "", memory(peak) if peak is not None else ""]
    return ", ".join(word for word in words if word)
