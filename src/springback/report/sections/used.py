"""What it cost and what was used: accounting, checks, provenance, thresholds, the state of every cell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from springback.report.evidence import Evidence, Point
from springback.report.markup import counted, num, pointed
from springback.report.numbers import MINUS, STYLES, bare, duration, full, memory, style_for
from springback.report.sections.words import ARMS, model_name, plain
from springback.report.tables import Table, columns, table, three
from springback.report.value import finite, value

ACCOUNTING: Final = "accounting:accounting"
QUALITY: Final = ("distinct_1", "distinct_2", "repetition", "ended", "empty")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the provenance: a name, a text, and a hash or identifier in fixed type."""

    name: str
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    name: str
    points: int
    examples: float
    steps: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    role: str
    state: str
    length: Markup
    shares: tuple[Markup, ...]
    perplexity: Markup


@dataclass(frozen=True, slots=True)
class View:
    counts: tuple[tuple[str, Markup], ...]
    arms: tuple[Arm, ...]
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
        arms=tuple(arm for name in ARMS if (arm := _arm(evidence, name))),
        checks=tuple(_checks(evidence)),
        cells=tuple(_cell(p) for p in evidence.points),
        facts=tuple(f for f in _facts(evidence) if f.text or f.code),
        thresholds=tuple((str(name), *_threshold(found)) for name, found in thresholds.items()),
        hashes=_pairs(meta.get("identity") or {}),
        asked=_pairs(meta.get("asked") or {}),
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


def _arm(evidence: Evidence, arm: str) -> Arm | None:
    """Points of an arm, and what its chains trained: a nested chain is as long as its longest point."""
    points = [p for p in evidence.points if p.arm == arm]
    if not points:
        return None
    sums = [_trained(points, unit) for unit in ("examples", "steps", "tokens")]
    return Arm(ARMS[arm] if arm != "main" else "start, aligned and reversed", len(points), *sums)


def _trained(points: list[Point], unit: str) -> float:
    chains: dict[tuple[Any, ...], float] = {}
    for p in points:
        if p.arm in ("main", "benign"):
            chains[p.seed, "align"] = max(chains.get((p.seed, "align"), 0.0), p.moved(unit, phase="align"))
        key = (p.seed, "reverse", p.aligned)
        chains[key] = max(chains.get(key, 0.0), p.moved(unit, phase="reverse"))
    return sum(chains.values())


def _checks(evidence: Evidence) -> list[Check]:
    found = evidence.one("accounting").get("checks") or []
    return [Check(str(c.get("name")), plain(c.get("outcome")), str(c.get("why") or "")) for c in found]


def _cell(point: Point) -> Cell:
    quality = point.body.get("quality") or {}
    numbers = [finite(quality.get(name)) for name in QUALITY]
    return Cell(
        model_name(point) + (f", seed {point.seed}" if point.seed else ""),
        "",
        f"degenerate: {point.degenerate}" if point.degenerate else "answers",
        num(value(quality.get("length"), point.record, unit="tokens"), "tokens", unit=False),
        tuple(_rate(x, point) for x in numbers),
        num(value(quality.get("start_perplexity_bits"), point.record, unit="bit/token"), "bits", unit=False),
    )


def _rate(x: float | None, point: Point) -> Markup:
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


def _facts(evidence: Evidence) -> list[Fact]:
    meta, data, scorer = evidence.meta, evidence.one("data"), evidence.one("scorer")
    model = meta.get("model") or {}
    given = meta.get("given") or {}
    found = [Fact("start", _model(model), str(model.get("weights_sha256") or ""))]
    found.append(Fact("model as given", _model(given), str(given.get("weights_sha256") or "")))
    found.append(Fact("chat template", "of the start" if model.get("template_sha256") else "", str(model.get("template_sha256") or "")))
    found.append(Fact("data", _data(data), str(data.get("sha256") or "")))
    found.append(Fact("matched in the data", "; ".join(map(str, data.get("matched") or []))))
    found.append(Fact("gap that remains", _gap(data.get("gap"))))
    dropped = [f"{d.get('n')}: {d.get('why')}" for d in data.get("rows_dropped") or [] if isinstance(d, Mapping)]
    found.append(Fact("rows left out", "; ".join(dropped)))
    found.append(Fact("scorer", _scorer(scorer)))
    found.append(Fact("seeds", ", ".join(map(str, evidence.one("verdict").get("seeds") or evidence.seeds))))
    found.append(Fact("versions", _about(meta.get("about") or {})))
    return found


def _model(model: Mapping[str, Any]) -> str:
    words = [str(model.get("name") or ""), str(model.get("origin") or ""), str(model.get("licence") or "")]
    return ", ".join(dict.fromkeys(w for w in words if w)) + "".join(f". {note}" for note in model.get("notes") or [])


def _data(data: Mapping[str, Any]) -> str:
    counts = [f"{n:,.0f} {name}" for name in ("prompts", "pairs", "neutral") if (n := finite(data.get(name))) is not None]
    prompts = f"prompts {data['prompts']}" if isinstance(data.get("prompts"), str) else ""
    words = [str(data.get("name") or ""), prompts, ", ".join(counts), str(data.get("licence") or "")]
    return "; ".join(w for w in [*words, *map(str, data.get("files") or [])] if w)


def _gap(gap: object) -> str:
    if isinstance(gap, Mapping):
        return "; ".join(f"{plain(name)}: {_one(found)}" for name, found in gap.items())
    return str(gap or "")


def _one(found: object) -> str:
    if isinstance(found, Mapping) and "estimate" in found:
        return full(read := value(found, ""), style_for(read))
    number = finite(found)
    return str(found) if number is None else f"{number:.3g}".replace("-", MINUS)


def _scorer(scorer: Mapping[str, Any]) -> str:
    words = [str(scorer.get("name") or "")]
    if scorer.get("fitted_on") is not None:
        words.append(f"fitted on {_rows(scorer['fitted_on'])}")
    if scorer.get("held_out") is not None:
        words.append(f"held out {_rows(scorer['held_out'])}")
    return ", ".join(w for w in words if w)


def _rows(count: object) -> str:
    number = finite(count)
    return str(count) if number is None else f"{number:,.0f} rows"


def _about(about: Mapping[str, Any]) -> str:
    versions = about.get("versions") or {}
    words = [f"{name} {version}" for name, version in versions.items()] if isinstance(versions, Mapping) else [str(versions)]
    for name, found in about.items():
        if name != "versions" and found is not None:
            shown = json.dumps(found) if isinstance(found, Mapping | list) else str(found)
            words.append(f"{plain(name)} {shown}")
    return ", ".join(words)


def _threshold(found: object) -> tuple[str, str]:
    if isinstance(found, Mapping):
        return f"{found.get('value')} {found.get('unit') or ''}".strip(), str(found.get("why") or "")
    return str(found), ""


def _pairs(found: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(found, Mapping):
        return ()
    return tuple((str(name), given if isinstance(given, str) else json.dumps(given)) for name, given in sorted(found.items()))
