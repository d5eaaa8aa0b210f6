"""The stated tests, answered: one statistic, one corrected p, one of four outcomes each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from springback.experiments.audit.contrasts import Contrast, of
from springback.experiments.audit.readings import Place, Readings
from springback.experiments.audit.tests_planned import Planned, tests_planned
from springback.experiments.audit.thresholds import ALPHA, POWER
from springback.experiments.audit.wording import outcome_sentence
from springback.stats.holm import holm
from springback.stats.measured import Measured
from springback.stats.paired import smallest_detectable

Outcome = Literal["holds", "fails", "undecided", "not_measured"]


@dataclass(frozen=True, slots=True)
class Tested:
    """A stated test with what came out."""

    plan: Planned
    statistic: Measured
    p: float | None
    p_adjusted: float | None
    outcome: Outcome
    smallest_detectable: float | None
    """At the level that is left after correction."""
    clear: int
    """On how many seeds the interval alone lies on the claim's side."""
    contrast: str
    """Name of the contrast that is quoted."""
    items: int = 0
    """Pairs or prompts on the seed that has fewest."""

    def json(self) -> dict[str, Any]:
        return {
            "name": self.plan.name,
            "family": self.plan.family,
            "claim": self.plan.claim,
            "contrast": self.contrast,
            "statistic": self.statistic.json(),
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "threshold": self.plan.threshold,
            "outcome": self.outcome,
            "smallest_detectable": self.smallest_detectable,
            "sentence": outcome_sentence(self.plan.claim, self.outcome, self.statistic, self.smallest_detectable),
        }


def resolve(readings: Readings, found: Mapping[str, Contrast]) -> dict[str, Tested]:
    """Every planned test by name, in the order in which they were stated."""
    planned = tests_planned(readings.shape)
    tested: dict[str, Tested] = {}
    for family in ("margin", "score", "guard"):
        stated = [plan for plan in planned if plan.family == family]
        p_values = [_p(seeds_of(readings, found, plan)) for plan in stated]
        for plan, p, adjusted in zip(stated, p_values, holm(p_values), strict=True):
            tested[plan.name] = _answer(readings, found, plan, p, adjusted, ALPHA.value / len(stated))
    return tested


def seeds_of(readings: Readings, found: Mapping[str, Contrast], plan: Planned) -> list[Contrast]:
    """The test's contrast on each seed."""
    place = Place(plan.arm, plan.aligned, plan.reversed)
    per_seed = [of(found, plan.reading, plan.kind, place, seed) for seed in readings.seeds]
    return [one for one in per_seed if one is not None]


def seen(readings: Readings, found: Mapping[str, Contrast], reading: str, kind: str, place: Place) -> Contrast | None:
    """What a page quotes: over seeds from three on, the one seed, or the weaker of two."""
    if readings.pooled:
        return of(found, reading, kind, place, "all")
    per_seed = [of(found, reading, kind, place, seed) for seed in readings.seeds]
    return weaker([one for one in per_seed if one is not None])


def weaker(per_seed: Sequence[Contrast]) -> Contrast | None:
    """The seed that says least: an unmeasured one, else the largest p, else the smallest estimate."""
    if not per_seed:
        return None
    return min(per_seed, key=lambda one: (one.value.measured, -(one.p or 0.0), abs(one.value.estimate or 0.0)))


def _p(per_seed: Sequence[Contrast]) -> float | None:
    """The largest p over seeds: the claim must show on each of them. 1 where seeds point to different sides."""
    values = [(one.p, one.value.estimate) for one in per_seed]
    if not values or any(p is None or estimate is None for p, estimate in values):
        return None
    sides = {estimate > 0 for _, estimate in values if estimate}
    return 1.0 if len(sides) > 1 else max(p for p, _ in values if p is not None)


def _answer(
    readings: Readings,
    found: Mapping[str, Contrast],
    plan: Planned,
    p: float | None,
    adjusted: float | None,
    alpha: float,
) -> Tested:
    per_seed = seeds_of(readings, found, plan)
    quoted = seen(readings, found, plan.reading, plan.kind, Place(plan.arm, plan.aligned, plan.reversed))
    assert quoted is not None, f"a stated test has no contrast: {plan.name}"
    reaches = [smallest_detectable(one.differences, alpha=alpha, power=POWER.value) for one in per_seed]
    reach = max((one for one in reaches if one is not None), default=None)
    clear = sum(_clear(one.value, plan.side) for one in per_seed)
    items = min((len(one.differences) for one in per_seed), default=0)
    return Tested(
        plan, quoted.value, p, adjusted, _outcome(plan, quoted.value, adjusted), reach, clear, quoted.name, items
    )


def _outcome(plan: Planned, statistic: Measured, adjusted: float | None) -> Outcome:
    if statistic.estimate is None or adjusted is None:
        return "not_measured"
    if adjusted > ALPHA.value or not statistic.excludes(0.0):
        return "undecided"
    return "holds" if statistic.estimate * plan.side > 0 else "fails"


def _clear(value: Measured, side: int) -> bool:
    return value.excludes(0.0) and (value.estimate or 0.0) * side > 0
