"""The four axes: how deep in tokens, how deep in layers, and how behaviour and distribution rebound.

Each carries its placebos in its own unit and names the records it was read from; what was not measured says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from springback.elasticity.rebound import closest_return
from springback.experiments.audit.contrasts import Contrast
from springback.experiments.audit.depth_axes import layer_axis, token_axis
from springback.experiments.audit.readings import Place, Readings
from springback.experiments.audit.tests_planned import cheap
from springback.experiments.audit.tests_resolved import Tested, seen
from springback.experiments.audit.thresholds import HALF
from springback.experiments.audit.verdict import Ruling
from springback.experiments.audit.wording import said, size, steps
from springback.stats.measured import Measured, unmeasured

NAMES = {"benign": "benign-tuned model", "from_start": "start", "continuation": "benign continuation"}
BEHAVIOUR = {
    "springs_back": "springs back",
    "holds": "holds",
    "not_aligned": "not aligned",
    "inconclusive": "cannot tell",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis as it is stored."""

    name: str
    value: Measured
    verdict: str
    sentence: str
    placebos: Sequence[tuple[str, Measured]]
    records: Sequence[str]
    more: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        placebos = [{"name": name, **value.json(), "value": value.json()} for name, value in self.placebos]
        head = {"name": self.name, **self.value.json(), "value": self.value.json(), "verdict": self.verdict}
        rest = {"sentence": self.sentence, "placebos": placebos, "records": list(self.records)}
        return {**head, **rest, **self.more}


def axes(
    readings: Readings, found: Mapping[str, Contrast], tests: Mapping[str, Tested], ruling: Ruling
) -> Iterator[Axis]:
    """Token depth, layer depth, rebound of behaviour, rebound of distribution."""
    for name, parts in (("token", token_axis(readings)), ("layer", layer_axis(readings))):
        yield Axis(name, *parts)
    yield _behaviour(readings, found, ruling)
    yield _distribution(readings, found, tests)


def _behaviour(readings: Readings, found: Mapping[str, Contrast], ruling: Ruling) -> Axis:
    n = _price(readings, ruling)
    place = Place("main", readings.shape.largest, n)
    undone = seen(readings, found, "margin", "undone", place)
    value = undone.value if undone is not None else unmeasured("no reversal was run")
    placebos = list(_placebos(readings, found, "margin", n))
    sentence = f"{said(value)} of the margin gained is undone after {size('n', n)}, paired." if n else "Not measured."
    if value.estimate is None:
        sentence = f"Share undone: {said(value)}."
    verdict = BEHAVIOUR[ruling.label] if n or ruling.label == "not_aligned" else "not measured"
    return Axis(
        "rebound_behaviour", value, verdict, sentence, placebos, _names(readings, found, ("margin", "score"), n)
    )


def _price(readings: Readings, ruling: Ruling) -> int:
    """The reversal size that the verdict rests on, else the largest that counts, else the smallest."""
    sizes = readings.shape.reversed
    return ruling.reversed or max(cheap(readings.shape), default=min(sizes, default=0))


def _placebos(
    readings: Readings, found: Mapping[str, Contrast], reading: str, n: int
) -> Iterator[tuple[str, Measured]]:
    """Each placebo's fall as a share of this alignment's gain, at n or the nearest size at which it was read."""
    for arm, name in NAMES.items():
        at = readings.shape.nearest(arm, n)
        share = seen(readings, found, reading, "undone", Place(arm, readings.shape.largest, at))
        shown = name if at == n or share is None else f"{name}, {size('n', at)}"
        yield shown, share.value if share is not None else unmeasured(f"the arm {arm} was not run")


def _names(readings: Readings, found: Mapping[str, Contrast], kinds: Sequence[str], n: int) -> list[str]:
    sizes = {"main": n, **{arm: readings.shape.nearest(arm, n) for arm in NAMES}}
    places = [Place(arm, readings.shape.largest, at) for arm, at in sizes.items()]
    shown = [seen(readings, found, kind, "undone", place) for kind in kinds for place in places]
    return [f"contrast:{one.name}" for one in shown if one is not None]


def _distribution(readings: Readings, found: Mapping[str, Contrast], tests: Mapping[str, Tested]) -> Axis:
    levels = _levels(readings)
    if not levels or len(levels) < 2:
        why = unmeasured("KL to the start was not measured at the aligned and a reversed model")
        return Axis("rebound_distribution", why, "not measured", f"Not measured: {why.why}.", [("none", why)], [])
    nearest = min((n for n in levels if n), key=lambda n: (levels[n], n))
    closest = closest_return(levels[0], {n: kl for n, kl in levels.items() if n})
    share = seen(readings, found, "kl", "undone", Place("main", readings.shape.largest, nearest))
    value = share.value if share is not None else unmeasured("KL was not read at both models")
    outcome = tests[f"kl/returns@{nearest}"].outcome if f"kl/returns@{nearest}" in tests else "not_measured"
    verdict, reached = _returned(value, outcome, closest.examples)
    facts = {"kl": closest.distance, "examples": closest.examples, **_spent(readings, nearest), "reached": reached}
    sentence = _distribution_sentence(readings, found, nearest, verdict)
    placebos = list(_placebos(readings, found, "kl", nearest))
    names = _names(readings, found, ("kl",), nearest)
    return Axis("rebound_distribution", value, verdict, sentence, placebos, names, {"closest_return": facts})


def _returned(value: Measured, outcome: str, examples: int) -> tuple[str, bool]:
    """What may be said of a return in KL, and whether half of the way was reached."""
    if value.low is not None and value.low >= HALF.value:
        return "returns", True
    if outcome == "holds" and examples:
        return (
            "moves back, not half way" if value.high is not None and value.high < HALF.value else "moves back"
        ), False
    return ("not reached" if outcome == "fails" or not examples else "cannot tell"), False


def _distribution_sentence(readings: Readings, found: Mapping[str, Contrast], n: int, verdict: str) -> str:
    moved = seen(readings, found, "kl", "fall", Place("main", readings.shape.largest, n))
    paired = said(moved.value, signed=True) if moved is not None else "not measured"
    price = steps(moved.steps) if moved is not None and moved.steps else size("n", n)
    return f"Closest return after {n} examples ({price}): KL to the start changes by {paired}, paired; {verdict}."


def _levels(readings: Readings) -> dict[int, float]:
    """Mean KL to the start by reversal size, 0 for the aligned model, over all seeds that have it."""
    found: dict[int, list[float]] = {}
    for seed in readings.seeds:
        for n in (0, *readings.shape.reversed):
            cell = readings.cell(seed, Place("main", readings.shape.largest, n))
            if cell is not None and cell.series.get("kl"):
                found.setdefault(n, []).append(sum(cell.series["kl"].values()) / len(cell.series["kl"]))
    return {n: sum(one) / len(one) for n, one in found.items()} if 0 in found else {}


def _spent(readings: Readings, n: int) -> dict[str, Any]:
    """Supervised tokens and optimiser steps of the reversal at n."""
    cell = readings.cell(readings.seeds[0], Place("main", readings.shape.largest, n))
    return {"tokens": cell.tokens if cell else None, "steps": cell.steps if cell else None}
