"""Held-out pairs whose verdict flipped: the aligned model prefers the wanted answer, the reversed one the opposite."""

from dataclasses import dataclass
from typing import Final

from springback.report.evidence import Evidence
from springback.report.point import Body, Point
from springback.report.sections.words import model_name
from springback.report.value import Value, finite, value

SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Flip:
    index: int
    prompt: str
    wanted: str
    opposite: str
    start: Value | None
    before: Value
    after: Value
    record: str


@dataclass(frozen=True, slots=True)
class View:
    aligned: str
    reversed: str
    total: int
    """Pairs that both models were read on."""
    to_opposite: tuple[Flip, ...]
    to_wanted: tuple[Flip, ...]
    placebo: tuple[str, int, int] | None
    """The same count between the benign-tuned model and its reversal: name, flips to the opposite, pairs."""


def view(evidence: Evidence) -> View | None:
    """None where the run has no aligned and reversed model with margins of pairs."""
    if not evidence.seeds:
        return None
    seed, size = evidence.seeds[0], evidence.largest
    ends = _ends(evidence, seed, "main", size)
    if ends is None:
        return None
    margins = _margins(evidence)
    flips, total = _flips(evidence, margins, *ends)
    down = tuple(f for f in flips if (f.before.estimate or 0) > 0)
    up = tuple(f for f in flips if (f.before.estimate or 0) <= 0)
    if not total:
        return None
    return View(model_name(ends[0]), model_name(ends[1]), total, down, up, _placebo(evidence, margins, seed))


def _ends(evidence: Evidence, seed: int, arm: str, size: int | str) -> tuple[Point, Point] | None:
    chain = evidence.chain(seed, arm, size) if size else []
    return (chain[0], chain[-1]) if len(chain) > 1 else None


def _margins(evidence: Evidence) -> dict[str, dict[int, Value]]:
    found: dict[str, dict[int, Value]] = {}
    for key, body in evidence.kind("pair").items():
        number = value(body.get("margin"), f"pair:{key}", unit="bit/bit")
        found.setdefault(str(body.get("cell")), {})[int(finite(body.get("index")) or 0)] = number
    return found


def _flips(
    evidence: Evidence, margins: dict[str, dict[int, Value]], before: Point, after: Point
) -> tuple[list[Flip], int]:
    """Pairs whose margin changed its sign, largest change first, and how many pairs both were read on."""
    texts = {int(finite(b.get("index")) or 0): (k, b) for k, b in evidence.kind("held_out").items()}
    first, last = margins.get(before.id, {}), margins.get(after.id, {})
    start = evidence.start(before.seed)
    shared = sorted(first.keys() & last.keys())
    flipped = [i for i in shared if _sign(first[i]) * _sign(last[i]) < 0]
    flipped.sort(key=lambda i: (-abs((last[i].estimate or 0) - (first[i].estimate or 0)), i))
    at_start = margins.get(start.id, {}) if start else {}
    return [_flip(i, texts.get(i, ("", {})), at_start.get(i), first[i], last[i]) for i in flipped], len(shared)


def _flip(index: int, text: tuple[str, Body], start: Value | None, before: Value, after: Value) -> Flip:
    key, body = text
    prompt, wanted, opposite = (str(body.get(name) or "") for name in ("prompt", "wanted", "opposite"))
    return Flip(index, prompt, wanted, opposite, start, before, after, f"held_out:{key}")


def _sign(number: Value) -> int:
    x = number.estimate or 0.0
    return (x > 0) - (x < 0)


def _placebo(evidence: Evidence, margins: dict[str, dict[int, Value]], seed: int) -> tuple[str, int, int] | None:
    sizes = {p.aligned for p in evidence.points if p.arm == "benign"}
    ends = _ends(evidence, seed, "benign", max(sizes, key=str)) if sizes else None
    if ends is None:
        return None
    flips, total = _flips(evidence, margins, *ends)
    down = sum(1 for f in flips if (f.before.estimate or 0) > 0)
    return (model_name(ends[0]), down, total) if total else None
