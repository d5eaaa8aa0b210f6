"""Differences of falls: which there are, against whom, and what their stated tests support."""

from typing import Final

from springback.report.evidence import Evidence
from springback.report.point import Contrast, Size, order
from springback.report.sections.words import listed, verdict_of
from springback.report.tables import Table, columns, table, three

AGAINST: Final = {
    "fall_beyond_benign": "benign",
    "fall_beyond_continuation": "continuation",
    "fall_beyond_start": "from_start",
}
"""Kinds of differences of falls, and the arm that each is taken against."""
NAMES: Final = {"benign": "benign-tuned model", "continuation": "benign continuation", "from_start": "start, untuned"}
CONTROLS: Final = {
    "benign": "an equally tuned, unaligned one",
    "continuation": "under a benign continuation",
    "from_start": "the start",
}


def largest_tested(evidence: Evidence) -> Size:
    """The largest N at which a placebo was run beside the aligned chain."""
    found = [c for c in evidence.contrasts if c.kind in AGAINST and c.aligned]
    benign = [c for c in found if c.kind == "fall_beyond_benign"]
    return max((c.aligned for c in benign or found), key=order, default=evidence.largest)


def differences(evidence: Evidence, reading: str, size: Size) -> list[Contrast]:
    """Differences of falls at N, benign-tuned first, then by n and seed."""
    found = [c for kind in AGAINST for c in evidence.find(kind, reading=reading, aligned=size)]
    place = list(NAMES)
    return sorted(found, key=lambda c: (place.index(against(c)), c.reversed, c.seed))


def against(contrast: Contrast) -> str:
    return AGAINST.get(contrast.kind, "")


def heading(evidence: Evidence, size: Size) -> str:
    """What the stated tests on the margin found, at the sizes they were stated for; else *cannot tell*."""
    found = differences(evidence, "margin", size)
    if not found:
        return "Whether an aligned model falls further: not measured"
    control = "benign" if any(against(c) == "benign" for c in found) else against(found[0])
    tested = [c for c in found if against(c) == control and evidence.outcome(c) is not None]
    than = CONTROLS[control]
    if not tested:
        return f"Whether an aligned model falls further than {than}: not tested"
    signs = {c.reversed: verdict_of(evidence, c) for c in tested}
    further, less, unclear = ([n for n in sorted(signs) if signs[n] == sign] for sign in (-1, 1, 0))
    if further:
        claim = f"An aligned model falls further than {than}, after {listed(further)} examples"
        return claim + (f"; after {listed(unclear)} this run cannot tell" if unclear else "")
    if less:
        return f"An aligned model falls less far than {than}, after {listed(less)} examples"
    return f"This run cannot tell whether an aligned model falls further than {than}"


def data(evidence: Evidence) -> Table:
    heads = (
        "kind",
        "reading",
        "arm",
        "against",
        "seed",
        "N",
        "n",
        *columns("value"),
        "unit",
        "count",
        "over",
        "record",
    )
    rows = [
        (c.kind, c.reading, c.arm, against(c), c.seed, c.aligned, c.reversed, *three(c.value),
         c.value.unit, c.value.n, c.value.over, c.value.record)
        for c in evidence.contrasts
        if c.kind == "fall" or c.kind in AGAINST
    ]  # fmt: skip
    return table("difference_of_falls", "Falls and their differences", heads, rows)
