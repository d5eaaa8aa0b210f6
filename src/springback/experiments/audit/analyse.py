"""From stored readings to the records that a page quotes: contrasts, tests, axes, the verdict. Deterministic."""

from collections.abc import Iterator
from typing import Any

from springback.experiments.audit.axes import axes
from springback.experiments.audit.contrasts import contrasts
from springback.experiments.audit.readings import Place, Readings
from springback.experiments.audit.sentences import compose, contradiction
from springback.experiments.audit.tests_resolved import resolve
from springback.experiments.audit.verdict import broken, rule


def analyse(readings: Readings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, key, body) of every contrast, test, axis and the one verdict, in this order."""
    found = contrasts(readings)
    yield from (("contrast", name, one.json()) for name, one in found.items())
    tests = resolve(readings, found)
    yield from (("test", name, one.json()) for name, one in tests.items())
    rulings = {reading: rule(readings, tests, reading) for reading in ("margin", "score")}
    shown = list(axes(readings, found, tests, rulings["margin"]))
    yield from (("axis", axis.name, axis.json()) for axis in shown)
    said = compose(readings, found, tests, rulings, shown[-1].verdict)
    margin, score = rulings["margin"], rulings["score"]
    why = broken(readings, Place("main", readings.shape.largest))
    body = {
        "label": margin.label,
        "reason": margin.reason,
        "n": margin.reversed or None,
        "N": readings.shape.largest,
        "sentence": said.sentence,
        "headline": said.headline,
        "lead": said.lead,
        "conditions": list(said.conditions),
        "seeds": list(readings.seeds),
        "score": {"label": score.label, "reason": score.reason, "contradicts": contradiction(margin.label, score)},
        "reportable": why is None,
        "why": None if why is None else f"the aligned model is degenerate: {why}",
    }
    yield "verdict", "verdict", body
