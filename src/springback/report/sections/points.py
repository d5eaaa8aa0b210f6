"""Every number of every point in one table: the data behind the rebound matrix."""

from springback.report.evidence import Evidence
from springback.report.point import GAMMA_TEXTS, Point
from springback.report.sections.rows import change
from springback.report.tables import Cell, Table, columns, table, three

MOVED = tuple((phase, unit) for phase in ("align", "reverse") for unit in ("examples", "tokens", "steps"))


def data(evidence: Evidence) -> Table:
    heads = (
        "arm", "seed", "N", "n", *(f"{phase}_{unit}" for phase, unit in MOVED), *columns("score"), *columns("margin"),
        *columns("margin_change"), *columns("kl_from_start"), *columns("kl_to_start"),
        *(name for text in GAMMA_TEXTS for name in columns(f"gamma_{text}")), "state", "record",
    )  # fmt: skip
    return table("rebound", "Every point of the grid", heads, (_row(evidence, p) for p in evidence.points))


def _row(evidence: Evidence, p: Point) -> tuple[Cell, ...]:
    gamma = (end for text in GAMMA_TEXTS for end in three(p.gamma(text)))
    moved = (p.moved(unit, phase=phase) for phase, unit in MOVED)
    head = (
        p.arm,
        p.seed,
        p.aligned,
        p.reversed,
        *moved,
        *three(p.score()),
        *three(p.margin()),
        *three(change(evidence, p)),
    )
    return (*head, *three(p.kl()), *three(p.kl("kl_to_start")), *gamma, p.degenerate or "answers", p.record)
