"""What it cost and what was used: accounting, checks, provenance, thresholds, the state of every cell."""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from springback.report.evidence import Evidence
from springback.report.markup import counted, num, pointed
from springback.report.numbers import STYLES, bare, duration, memory
from springback.report.point import Point
from springback.report.sections.provenance import Fact, facts, pairs, threshold
from springback.report.sections.words import model_name, plain
from springback.report.tables import Table, columns, table, three
from springback.report.value import Real, finite, value

ACCOUNTING: Final = "accounting:accounting"
QUALITY: Final = ("distinct_1", "distinct_2", "repetition", "ended", "empty")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    trained: tuple[Markup, ...]
    """Examples, supervised tokens and optimiser steps of its last training."""
    state: str
    length: Markup
    shares: tuple[Markup, ...]
    perplexity: Markup


@dataclass(frozen=True, slots=True)
class View:
    counts: tuple[tuple[str, Markup], ...]
    checks: tuple[Check, ...]
    cells: tuple[Cell, ...]
    facts: tuple[Fact, ...]
    thresholds: tuple[tuple[str, str, str], ...]
    """Name, value with unit, and why it is this one."""
    hashes: tuple[tuple[str, str], ...]
    asked: tuple[tuple[str, str], ...]
    quality: Table


def view(evidence: Evidence) -> View:
    meta = evidence.meta
    thresholds = (meta.get("plan") or {}).get("thresholds") or {}
    return View(
        counts=tuple(_counts(evidence)),
        checks=tuple(_checks(evidence)),
        cells=tuple(_cell(p) for p in evidence.points),
        facts=tuple(f for f in facts(evidence) if f.text or f.code),
        thresholds=tuple((str(name), *threshold(found)) for name, found in thresholds.items()),
        hashes=pairs(meta.get("identity") or {}),
        asked=pairs(meta.get("asked") or {}),
        quality=_quality(evidence),
    )


def _counts(evidence: Evidence) -> list[tuple[str, Markup]]:
    body = evidence.one("accounting")
    found = [(f"cells {k}", n) for k, n in (body.get("cells") or {}).items()]
    found += [(f"tokens {k}", n) for k, n in (body.get("tokens") or {}).items()]
    found.append(("empty samples", body.get("samples_empty")))
    training = body.get("training") or {}
    found.append(("tensors trained", training.get("tensors_total")))
    found.append(("of these moved", training.get("tensors_moved")))
    shown = [(name, counted(number, ACCOUNTING)) for name, n in found if (number := finite(n)) is not None]
    cost = evidence.meta.get("cost") or {}
    if (seconds := finite(cost.get("seconds"))) is not None:
        shown.append(("time", pointed(duration(seconds), "run.json:cost", stored=seconds)))
    if (peak := finite(cost.get("peak_bytes"))) is not None:
        shown.append(("peak memory", pointed(memory(peak), "run.json:cost", stored=peak)))
    return shown


def _checks(evidence: Evidence) -> list[Check]:
    found = evidence.one("accounting").get("checks") or []
    return [Check(str(c.get("name")), plain(c.get("outcome")), str(c.get("why") or "")) for c in found]


def _cell(point: Point) -> Cell:
    quality = point.body.get("quality") or {}
    phase = "reverse" if point.reversed else "align"
    numbers = [finite(quality.get(name)) for name in QUALITY]
    return Cell(
        model_name(point) + (f", seed {point.seed}" if point.seed else ""),
        tuple(counted(point.moved(unit, phase=phase), point.record) for unit in ("examples", "tokens", "steps")),
        f"degenerate: {point.degenerate}" if point.degenerate else "answers",
        num(value(quality.get("length"), point.record, unit="tokens"), "tokens", unit=False),
        tuple(_rate(x, point) for x in numbers),
        num(value(quality.get("start_perplexity_bits"), point.record, unit="bit/token"), "bits", unit=False),
    )


def _rate(x: Real | None, point: Point) -> Markup:
    return Markup("–") if x is None else pointed(bare(x, STYLES["rate"]), point.record, stored=x)


def _quality(evidence: Evidence) -> Table:
    heads = ("cell", "seed", "state", *columns("length"), *QUALITY, *columns("start_perplexity_bits"), "record")
    rows = []
    for p in evidence.points:
        q = p.body.get("quality") or {}
        ends = three(value(q.get("length"), "")), three(value(q.get("start_perplexity_bits"), ""))
        state = "degenerate" if p.degenerate else "answers"
        rows.append((model_name(p), p.seed, state, *ends[0], *(finite(q.get(n)) for n in QUALITY), *ends[1], p.record))
    return table("quality", "Quality of the samples", heads, rows)
