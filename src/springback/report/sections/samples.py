"""The same prompts, several models: first prompts, not chosen; cut answers marked."""

from dataclasses import dataclass
from typing import Final

from springback.report.evidence import Evidence
from springback.report.point import Body, Point
from springback.report.sections import prompts
from springback.report.sections.words import model_name, role
from springback.report.value import Value, finite, value

SHOWN: Final = 3
"""Prompts that stand open; the next ones are folded."""


@dataclass(frozen=True, slots=True)
class Answer:
    model: str
    role: str
    text: str
    tokens: int
    ended: bool
    score: Value
    record: str


@dataclass(frozen=True, slots=True)
class Prompt:
    index: int
    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class View:
    models: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    """Of these the first `SHOWN` stand open."""
    total: int
    trimmed: bool
    """Whether lines of the chat template that all prompts share are left out."""


def view(evidence: Evidence, *, most: int) -> View:
    """At most `most` prompts, the first ones; the page says how many there are."""
    shown = columns(evidence)
    by_cell: dict[str, dict[int, tuple[str, Body]]] = {}
    for key, body in evidence.kind("sample").items():
        by_cell.setdefault(str(body.get("cell")), {})[int(finite(body.get("index")) or 0)] = (key, body)
    found = [(p, by_cell[p.id]) for p in shown if p.id in by_cell]
    indices = sorted({index for _, samples in found for index in samples})
    around = prompts.shared(evidence)
    asked = tuple(_prompt(index, found, around) for index in indices[:most])
    return View(tuple(model_name(p) for p, _ in found), asked, len(indices), trimmed=any(around))


def columns(evidence: Evidence) -> list[Point]:
    """Start, aligned, most reversed, benign-tuned, of the first seed; those that exist."""
    if not evidence.seeds:
        return []
    seed, size = evidence.seeds[0], evidence.largest
    benign = [p for p in evidence.points if p.seed == seed and p.arm == "benign" and not p.reversed]
    chain = evidence.chain(seed, "main", size) if size else []
    if not chain:
        chain = evidence.chain(seed, "from_start", 0)
    picked = [evidence.start(seed), *chain[:1], *(p for p in chain[-1:] if p.reversed), *benign[-1:]]
    return list(dict.fromkeys(p for p in picked if p is not None))


def _prompt(index: int, found: list[tuple[Point, dict[int, tuple[str, Body]]]], around: tuple[str, str]) -> Prompt:
    answers = tuple(_answer(p, *samples[index]) for p, samples in found if index in samples)
    text = next(str(samples[index][1].get("prompt") or "") for _, samples in found if index in samples)
    return Prompt(index, prompts.shown(text, around), answers)


def _answer(point: Point, key: str, body: Body) -> Answer:
    return Answer(
        model=model_name(point),
        role=role(point),
        text=str(body.get("answer") or ""),
        tokens=len(body.get("answer_ids") or []),
        ended=bool(body.get("ended", True)),
        score=value(body.get("score"), f"sample:{key}", unit="probability", why="no score"),
        record=f"sample:{key}",
    )
