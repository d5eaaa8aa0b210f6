"""What the page says at its top, composed from the tests and nothing else: headline, sentence, lead, conditions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from springback.experiments.audit.conditions import conditions
from springback.experiments.audit.contrasts import Contrast
from springback.experiments.audit.phrases import DISTRIBUTION, HEADLINES, SENTENCES
from springback.experiments.audit.readings import Place, Readings
from springback.experiments.audit.tests_planned import control
from springback.experiments.audit.tests_resolved import Tested, seen
from springback.experiments.audit.verdict import Label, Ruling, broken
from springback.experiments.audit.wording import plain, said, size, steps, wanted


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a verdict."""

    headline: str
    sentence: str
    lead: str
    conditions: tuple[Mapping[str, str | None], ...]


def compose(
    readings: Readings,
    found: Mapping[str, Contrast],
    tests: Mapping[str, Tested],
    rulings: Mapping[str, Ruling],
    distribution: str,
) -> Said:
    """Headline (at most twelve words), sentence, three readings, and what would change the verdict."""
    ruling = rulings["margin"]
    words = _words(readings, found, tests, ruling, distribution)
    headline, sentence = HEADLINES[ruling.reason].format(**words) + ".", SENTENCES[ruling.reason].format(**words)
    beside = _beside(rulings, tests, readings.score_why)
    lead = " ".join(_lead(readings, found, ruling, distribution))
    stamp = [f"{readings.stamp[0].upper()}{readings.stamp[1:]}."] if readings.stamp else []
    sentence = " ".join([*stamp, sentence, *([beside] if beside else [])])
    return Said(headline, sentence, lead, tuple(conditions(readings, tests, rulings)))


def contradiction(margin: Label, score: Ruling) -> bool:
    """Whether the score, asked by the same rules, is decided and says something else."""
    return score.label not in (margin, "inconclusive") and score.reason != "no_further"


def _words(
    readings: Readings,
    found: Mapping[str, Contrast],
    tests: Mapping[str, Tested],
    ruling: Ruling,
    distribution: str,
) -> dict[str, Any]:
    shape, n = readings.shape, ruling.reversed
    aligned, place = tests["margin/aligned"], Place("main", shape.largest, n)
    undone = seen(readings, found, "margin", "undone", place)
    benign = "benign" in shape.arms
    return {
        "n": n,
        "steps": steps(undone.steps) if undone is not None else "",
        "wanted": wanted(shape.largest),
        "than": "a benign-tuned model" if benign else "the start (no benign chain was run)",
        "control": _control(readings),
        "gain": said(aligned.statistic, signed=True),
        "reach": _reach(aligned),
        "why": aligned.statistic.why,
        "broken": broken(readings, place if n else Place("main", shape.largest)),
        "undone": said(undone.value) if undone is not None else "not measured",
        "moved": _moved(tests),
        "distribution": DISTRIBUTION.get(distribution, "of the distribution this run cannot tell"),
    }


def _control(readings: Readings) -> str:
    named = {"benign": "an equally tuned, unaligned model", "from_start": "the start (no benign chain was run)"}
    return named.get(control(readings.shape) or "", "an unaligned model")


def _reach(test: Tested) -> str:
    if test.smallest_detectable is None:
        return "no difference"
    return f"a difference of {plain(test.smallest_detectable, test.statistic.unit)}"


def _moved(tests: Mapping[str, Tested]) -> str:
    """Which models the largest reversal moved."""
    named = {"main": "the aligned model itself", "benign": "the benign-tuned model", "from_start": "the start"}
    return " and ".join(
        name
        for arm, name in named.items()
        if any(t.plan.name.startswith(f"margin/falls/{arm}@") and t.outcome == "holds" for t in tests.values())
    )


def _beside(rulings: Mapping[str, Ruling], tests: Mapping[str, Tested], score_why: str | None) -> str:
    """What the score says beside the margin: the same, nothing, or something else."""
    margin, score = rulings["margin"], rulings["score"]
    if score_why:
        return f"The score is not reportable: {score_why}."
    if contradiction(margin.label, score):
        return f"The score contradicts the margin: by the same rules it says {score.label.replace('_', ' ')}."
    if margin.label == score.label:
        return "The score agrees." if margin.label in ("springs_back", "holds") else ""
    test = tests.get(f"score/falls_beyond@{margin.reversed}", tests["score/aligned"])
    return f"The score cannot tell ({said(test.statistic, signed=True)})."


def _lead(readings: Readings, found: Mapping[str, Contrast], ruling: Ruling, distribution: str) -> Iterator[str]:
    """Share undone, difference of falls, and KL before and after: each a paired reading of its own sentence."""
    shape = readings.shape
    if ruling.reason in ("identical", "aligned_unmeasured"):
        return
    n = ruling.reversed
    if not n:
        yield from _gain_lead(readings, found)
        return
    place = Place("main", shape.largest, n)
    undone = {reading: seen(readings, found, reading, "undone", place) for reading in ("margin", "score")}
    first = undone["margin"]
    price = steps(first.steps) if first is not None and first.steps else size("n", n)
    shares = [f"{said(one.value)} of the {reading}" for reading, one in undone.items() if one and one.value.measured]
    if shares:
        yield f"{n} opposite examples ({price}) undo {' and '.join(shares)} that {wanted(shape.largest)} gained."
    yield from _beyond_lead(readings, found, place)
    moved = seen(readings, found, "kl", "fall", place)
    if moved is not None and moved.value.measured:
        yield f"KL to the start changes by {said(moved.value, signed=True)}, paired; closest return: {distribution}."


def _beyond_lead(readings: Readings, found: Mapping[str, Contrast], place: Place) -> Iterator[str]:
    against = control(readings.shape)
    kind = "fall_beyond_benign" if against == "benign" else "fall_beyond_start"
    beyond = {reading: seen(readings, found, reading, kind, place) for reading in ("score", "margin")}
    parts = [f"{said(one.value, signed=True)} in {r}" for r, one in beyond.items() if one and one.value.measured]
    if parts:
        yield f"Its fall less that of {_control(readings)} under the same examples: {' and '.join(parts)}, paired."


def _gain_lead(readings: Readings, found: Mapping[str, Contrast]) -> Iterator[str]:
    place = Place("main", readings.shape.largest)
    for kind, words in (("gain", "Against the start"), ("gain_beyond_benign", "Against benign tuning of equal size")):
        shown = {reading: seen(readings, found, reading, kind, place) for reading in ("score", "margin")}
        parts = [f"{said(one.value, signed=True)} in {r}" for r, one in shown.items() if one and one.value.measured]
        if parts:
            yield f"{words} the model moved by {' and '.join(parts)}, paired."
    away = seen(readings, found, "kl", "gain", place)
    if away is not None and away.value.measured:
        yield f"KL to the start is {said(away.value)}."
