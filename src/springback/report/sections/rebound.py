"""The rebound matrix: aligning, N = 0, one panel for each N; score, margin, γ and KL on the same columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from springback.report.charts.frame import Frame, Series, Spot, Tick
from springback.report.charts.panel import Panel, panel
from springback.report.charts.scales import domain, size_place
from springback.report.evidence import Evidence
from springback.report.numbers import count
from springback.report.point import GIVEN, Point
from springback.report.sections.columns import Column, columns
from springback.report.sections.rows import Row, rows
from springback.report.sections.words import ARMS, key_of, plain
from springback.report.value import Real, Value

WIDE: Final = {1: 344, 2: 344, 3: 344, 4: 264}
"""Width of a panel by panels in a row; 216 from five on."""
GAMMA_ROLES: Final = {"aligned": "al", "reversed": "rv", "neutral": "pb"}
BEHAVIOUR: Final = {
    "springs_back": "The behaviour springs back",
    "holds": "The behaviour holds",
    "not_aligned": "There is no gain to undo",
    "cannot_tell": "Whether the behaviour comes back, this run cannot tell",
    "inconclusive": "Whether the behaviour comes back, this run cannot tell",
}
DISTRIBUTION: Final = {
    "not_reached": "The distribution does not return to the start",
    "returns": "The distribution returns at least half way",
    "moves_back": "The distribution moves back in part",
    "moves_back,_not_half_way": "The distribution moves back, less than half way",
    "cannot_tell": "Of the distribution, this run cannot tell",
}


@dataclass(frozen=True, slots=True)
class DrawnRow:
    key: str
    title: str
    explained: str
    panels: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class View:
    heading: str
    columns: int
    rows: tuple[DrawnRow, ...]
    note: str


def view(evidence: Evidence) -> View:
    matrix = columns(evidence)
    wide = min(len(matrix), 5 if len(matrix) == 5 else 4)
    drawn = tuple(_row(evidence, row, matrix, WIDE.get(wide, 216)) for row in rows(evidence)) if matrix else ()
    return View(heading(evidence), wide, drawn, _note(evidence))


def heading(evidence: Evidence) -> str:
    """Both verdicts side by side, also where they contradict each other."""
    axes = evidence.kind("axis")
    both = [key_of(axes[key].get("verdict")) for key in ("rebound_behaviour", "rebound_distribution") if key in axes]
    if both == ["cannot_tell", "cannot_tell"]:
        return "This run cannot tell whether behaviour or distribution come back"
    found = [
        table.get(key_of(axes[key].get("verdict")), f"{name}: {plain(axes[key].get('verdict'))}")
        for key, name, table in (
            ("rebound_behaviour", "Rebound of behaviour", BEHAVIOUR),
            ("rebound_distribution", "Rebound of distribution", DISTRIBUTION),
        )
        if key in axes
    ]
    yet = "no verdict yet" if evidence.reversals else "not measured"
    return ". ".join(found) or f"Rebound: {yet}"


def _row(evidence: Evidence, row: Row, columns: Sequence[Column], width: Real) -> DrawnRow:
    up = _span(evidence, row, columns)
    panels = []
    for index, column in enumerate(columns):
        across = _across(evidence, [c for c in columns if c.aligning == column.aligning])
        frame = Frame(width, 196, across, up, left=34, right=8, style=row.style)
        panels.append(panel(_panel(evidence, row, column, frame), frame, inner=index > 0))
    return DrawnRow(row.key, row.title, _explained(evidence, row), tuple(panels))


def _explained(evidence: Evidence, row: Row) -> str:
    """The row's reading with what it counts, from the first point that has it."""
    known = next((v for p in evidence.points if (v := row.read(evidence, p)).known and v.n), None)
    return f"{row.explained}; {known.n} {known.over} a point" if known else row.explained


def _values(evidence: Evidence, row: Row, chain: Sequence[Point]) -> list[Value]:
    if row.texts:
        return [p.gamma(text) for p in chain for text, _ in row.texts]
    return [row.read(evidence, p) for p in chain]


def _span(evidence: Evidence, row: Row, columns: Sequence[Column]) -> tuple[Real, Real]:
    """All panels of a row share one scale; differences and KL show 0."""
    chains = [c for column in columns for c in (*column.chains, *(chain for _, chain in column.placebos))]
    values = [v for chain in chains for v in _values(evidence, row, chain)]
    ends = [end for v in values for end in (v.estimate, v.low, v.high)]
    return domain(ends, include=[] if row.level or row.texts else [0.0])


def _across(evidence: Evidence, columns: Sequence[Column]) -> tuple[Real, Real]:
    chains = [c for column in columns for c in (*column.chains, *(chain for _, chain in column.placebos))]
    places = [_x(evidence, p, aligning=columns[0].aligning) for chain in chains for p in chain]
    return 0.0, max([1.0, *places])


def _x(evidence: Evidence, point: Point, *, aligning: bool) -> Real:
    if aligning and point.aligned == GIVEN:
        return size_place(evidence.batch, evidence.batch)
    return size_place(point.aligned if aligning and isinstance(point.aligned, int) else point.reversed, evidence.batch)


def _panel(evidence: Evidence, row: Row, column: Column, frame: Frame) -> Panel:
    start = evidence.start()
    level = row.read(evidence, start) if start else None
    placebos = () if row.texts else tuple(_series(evidence, row, column, chain, arm) for arm, chain in column.placebos)
    ghosts = () if row.texts else tuple(_series(evidence, row, column, chain, "main") for chain in column.ghosts)
    return Panel(
        title=column.title,
        subtitle=column.subtitle,
        label=f"{row.title}, {column.title}",
        main=_main(evidence, row, column),
        placebos=placebos,
        ghosts=ghosts,
        start=None if row.texts else level,
        ticks=_ticks(evidence, column),
        sign=row.sign,
        apart=bool(row.texts),
    )


def _main(evidence: Evidence, row: Row, column: Column) -> tuple[Series, ...]:
    chains = [chain for chain in column.chains if chain]
    if row.texts:
        return tuple(_gamma(evidence, column, chains[0], text, name) for text, name in row.texts) if chains else ()
    arm = "from_start" if not column.aligning and chains and chains[0][-1].arm == "from_start" else "main"
    return tuple(_series(evidence, row, column, chain, arm, thin=len(chains) > 1) for chain in chains)


def _series(
    evidence: Evidence, row: Row, column: Column, chain: Sequence[Point], arm: str, *, thin: bool = False
) -> Series:
    role = {"benign": "pb", "continuation": "pc", "from_start": "pz"}.get(arm, "al" if column.aligning else "rv")
    spots = tuple(Spot(_x(evidence, p, aligning=column.aligning), row.read(evidence, p), _head(p)) for p in chain)
    name = ARMS[arm] if arm in ("benign", "continuation") else f"seed {chain[0].seed}" if thin else column.title
    return Series(role, spots, name, thin=thin)


def _head(point: Point) -> str:
    """The mark of a chain's first point is the model that it is, whatever the chain."""
    if point.reversed or point.arm != "main":
        return ""
    return "al" if point.aligned else "s0"


def _gamma(evidence: Evidence, column: Column, chain: Sequence[Point], text: str, name: str) -> Series:
    spots = tuple(Spot(_x(evidence, p, aligning=column.aligning), p.gamma(text)) for p in chain)
    return Series(GAMMA_ROLES[text], spots, name)


def _ticks(evidence: Evidence, column: Column) -> tuple[Tick, ...]:
    """One place, three labels: examples, supervised tokens, optimiser steps."""
    chain = max(column.chains, key=len, default=())
    phase = "align" if column.aligning else "reverse"
    found = {}
    for p in chain:
        n = p.aligned if column.aligning else p.reversed
        units = (
            count(n) if isinstance(n, int) else GIVEN,
            *(count(p.moved(u, phase=phase)) for u in ("tokens", "steps")),
        )
        found[_x(evidence, p, aligning=column.aligning)] = Tick(_x(evidence, p, aligning=column.aligning), units)
    return tuple(found[x] for x in sorted(found))


def _note(evidence: Evidence) -> str:
    seeds = "One thin line a seed; start, placebos and γ: the first seed. Intervals over seeds: falls and shares."
    words = [seeds] if len(evidence.seeds) > 1 else []
    gone = [f"{p.label}: {p.degenerate}" for p in evidence.points if p.degenerate]
    if gone:
        words.append(f"Hatched, degenerate, so the score is not reportable: {'; '.join(gone)}.")
    return " ".join(words)
