"""Several runs against one start: a table of their headline readings and a picture of gain against price."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from springback.report import embed
from springback.report.charts.tradeoff import Dot, tradeoff
from springback.report.document import document
from springback.report.evidence import Evidence
from springback.report.markup import num
from springback.report.numbers import STYLES, sized
from springback.report.one_start import distinct, require_one_start
from springback.report.point import Size
from springback.report.sections import scorer
from springback.report.sections.words import plain, size_words
from springback.report.tables import Table, columns, table, three
from springback.report.value import Value, value
from springback.report.written import write_text
from springback.store.run import Run

HALF: Final = 0.5
KINDS: Final = ("verdict", "axis", "contrast", "test", "scorer", "data", "accounting")


@dataclass(frozen=True, slots=True)
class Line:
    """One run in the table."""

    name: str
    label: str
    headline: str
    tag: str
    size: str
    readings: tuple[Markup, ...]
    price: str
    auc: Markup | None
    state: str


HEADS: Final = (
    "gain in margin",
    "gain in score",
    "beyond benign tuning, margin",
    "share undone, margin",
    "fall beyond benign, margin",
    "share of KL undone",
)


def write_comparison(paths: Sequence[Path], out: Path | None = None) -> tuple[Path, int]:
    """Write a page that compares runs of one start and one data set. RefusedError says in what they differ."""
    runs = [(path, *_read(path)) for path in paths]
    require_one_start([(str(path), evidence.meta) for path, evidence in runs])
    names = distinct([path for path, _ in runs])
    text = comparison(list(zip(names, (evidence for _, evidence in runs), strict=True)))
    place = out or paths[0].parent / f"comparison-{_short(paths)}.html"
    return place, write_text(place, text)


def comparison(runs: Sequence[tuple[str, Evidence]]) -> str:
    """The page as text; the same runs give the same bytes."""
    dots = tuple(dot(name, evidence) for name, evidence in runs)
    first = runs[0][1]
    return document(
        "compare.html.j2",
        data={name: embed.whole(evidence, KINDS) for name, evidence in runs},
        model=str((first.meta.get("model") or {}).get("name") or "one start"),
        dataset=str(first.one("data").get("name") or ""),
        heads=HEADS,
        lines=tuple(_line(name, evidence) for name, evidence in runs),
        picture=tradeoff(dots, STYLES["margin"], first.batch, label=_spoken(dots)),
        table=data(runs),
        meta=first.meta,
    )


def dot(name: str, evidence: Evidence) -> Dot:
    return Dot(name, _gain(evidence, "margin"), price(evidence), max(evidence.reversals, default=0))


def price(evidence: Evidence) -> int | None:
    """The smallest n at which the whole interval of the undone margin lies at one half or above, largest N."""
    found = sorted(
        evidence.find("undone", reading="margin", arm="main", aligned=evidence.largest), key=lambda c: c.reversed
    )
    return next((c.reversed for c in found if c.value.low is not None and c.value.low >= HALF), None)


def data(runs: Sequence[tuple[str, Evidence]]) -> Table:
    names = ("gain_margin", "gain_score", "beyond_benign", "undone_margin", "fall_beyond_benign", "undone_kl")
    heads = ("run", "verdict", "N", "price_n", *(end for name in names for end in columns(name)), "records")
    rows = []
    for name, evidence in runs:
        found = _readings(evidence)
        ends = [end for v, _ in found for end in three(v)]
        label = str(evidence.one("verdict").get("label") or "")
        rows.append((name, label, evidence.largest, price(evidence), *ends, " ".join(v.record for v, _ in found)))
    return table("comparison", "Runs compared", heads, rows)


def _read(path: Path) -> tuple[Evidence]:
    run = Run.look(path)
    try:
        return (Evidence({kind: run.read(kind) for kind in run.kinds()}, {**run.meta, "state": run.state}),)
    finally:
        run.close()


def _line(name: str, evidence: Evidence) -> Line:
    verdict, undone_at = evidence.one("verdict"), price(evidence)
    most = max(evidence.reversals, default=0)
    seeds = verdict.get("seeds") or evidence.seeds
    found = scorer.view(evidence)
    return Line(
        name=name,
        label=str(verdict.get("label") or "no verdict"),
        headline=str(verdict.get("headline") or ""),
        tag="one seed" if len(seeds) == 1 else f"{len(seeds)} seeds",
        size=size_words(evidence.largest) if evidence.largest else "not aligned",
        readings=tuple(num(v, reading, sign=reading != "share") for v, reading in _readings(evidence)),
        price=sized("n", undone_at) if undone_at else f"not by {sized('n', most)}" if most else "not measured",
        auc=found.auc if found else None,
        state=plain(evidence.meta.get("state")),
    )


def _readings(evidence: Evidence) -> list[tuple[Value, str]]:
    """The headline readings at the largest N and the n that the verdict rests on, else the largest."""
    size = evidence.largest
    n = evidence.deciding[1] if evidence.deciding else max(evidence.reversals, default=0)
    return [
        (_gain(evidence, "margin"), "margin"),
        (_gain(evidence, "score"), "score"),
        (_of(evidence, "gain_beyond_benign", "margin", size, 0), "margin"),
        (_of(evidence, "undone", "margin", size, n), "share"),
        (_of(evidence, "fall_beyond_benign", "margin", size, n), "margin"),
        (_of(evidence, "undone", "kl", size, n), "share"),
    ]


def _gain(evidence: Evidence, reading: str) -> Value:
    return _of(evidence, "gain", reading, evidence.largest, 0)


def _of(evidence: Evidence, kind: str, reading: str, size: Size, n: int) -> Value:
    found = evidence.contrast(kind, reading=reading, arm="main", aligned=size, reversed=n)
    return found.value if found else value(None, "", why="not measured")


def _short(paths: Sequence[Path]) -> str:
    return hashlib.sha256("\n".join(path.resolve().name for path in paths).encode()).hexdigest()[:8]


def _spoken(dots: Sequence[Dot]) -> str:
    said = (f"{d.name}: half undone {'at n = ' + str(d.price) if d.price else 'at no size tried'}" for d in dots)
    return "Gain in margin against the price of undoing it. " + "; ".join(said)
