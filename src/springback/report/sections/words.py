"""Words that several sections use: arms, verdicts, and what a heading may claim."""

from typing import Final

from springback.report.evidence import Evidence
from springback.report.numbers import NO_BREAK, count, plural, sized
from springback.report.point import Contrast, Point, Size
from springback.report.value import Real

ARMS: Final = {
    "main": "aligned",
    "benign": "benign-tuned",
    "from_start": "start, untuned",
    "continuation": "benign continuation",
    "noise": "second draw of the start",
}
AXES: Final = {
    "token": "Token depth",
    "layer": "Layer depth",
    "rebound_behaviour": "Rebound of behaviour",
    "rebound_distribution": "Rebound of distribution",
}
ORDER: Final = ("main", "benign", "continuation", "from_start")
"""Arms in the order of their worth."""
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def axis_name(key: str) -> str:
    return AXES.get(key, plain(key).capitalize())


def plain(label: object) -> str:
    """`springs_back` as a person says it."""
    return str(label or "not measured").replace("_", " ")


def listed(numbers: list[int] | tuple[int, ...]) -> str:
    """`8, 32 and 64`."""
    text = [count(n) for n in numbers]
    return text[0] if len(text) == 1 else f"{', '.join(text[:-1])} and {text[-1]}" if text else ""


def model_name(point: Point) -> str:
    """`aligned, N = 256, n = 32` for the head of a column."""
    if point.arm == "noise":
        return ARMS["noise"]
    if not point.aligned and not point.reversed:
        return "start"
    if point.arm == "from_start":
        return f"start, reversed, {sized('n', point.reversed)}"
    state = "reversed" if point.reversed and point.arm == "main" else ARMS.get(point.arm, point.arm)
    size = " as given" if isinstance(point.aligned, str) else f", {sized('N', point.aligned)}"
    return f"{state}{size}" + (f", {sized('n', point.reversed)}" if point.reversed else "")


def role(point: Point) -> str:
    """Shape and colour of a model on the page."""
    if not point.aligned and not point.reversed and point.arm == "main":
        return "s0"
    if point.arm != "main":
        return {"benign": "pb", "continuation": "pc", "from_start": "pz"}.get(point.arm, "pb")
    return "rv" if point.reversed else "al"


def name_of(evidence: Evidence, cell: object) -> tuple[str, str]:
    """Name and role of a cell given by its id; the id itself where the cell is not stored."""
    found = next((p for p in evidence.points if cell in (p.id, p.body.get("id"))), None)
    return (model_name(found), role(found)) if found else (str(cell), "pb")


def steps_of(evidence: Evidence, n: int) -> int:
    """Optimiser steps of n reversed examples, from a stored cell."""
    for point in evidence.points:
        if point.reversed == n:
            return int(point.moved("steps", phase="reverse"))
    return round(n / evidence.batch)


def steps(evidence: Evidence, n: int) -> str:
    """`1 step`."""
    return plural(steps_of(evidence, n), "step")


def verdict_of(evidence: Evidence, contrast: Contrast, reference: Real = 0.0) -> int:
    """−1 below the reference, +1 above it, 0 undecided: by the stated test where there is one, else by the interval."""
    estimate, outcome = contrast.value.estimate, evidence.outcome(contrast)
    clear = contrast.value.decided(reference) if outcome is None else outcome == "holds"
    return 0 if estimate is None or not clear else (-1 if estimate < reference else 1)


def size_words(size: Size) -> str:
    return "the model as given" if isinstance(size, str) else f"N{NO_BREAK}={NO_BREAK}{count(size)}"


def short_name(evidence: Evidence, cell: object) -> tuple[str, str]:
    """`aligned` for the end of a line whose sizes stand in the title, with its role."""
    found = next((p for p in evidence.points if cell in (p.id, p.body.get("id"))), None)
    if found is None:
        return name_of(evidence, cell)
    kind = role(found)
    return {"s0": "start", "al": "aligned", "rv": "reversed", "pb": "benign"}.get(kind, model_name(found)), kind


def spelled(number: int) -> str:
    """Small numbers as words."""
    return NUMBERS[number] if 0 <= number < len(NUMBERS) else count(number)


def key_of(label: object) -> str:
    """A verdict's words as one key: `not reached` and `not_reached` are one."""
    return str(label or "").strip().lower().replace(" ", "_")
