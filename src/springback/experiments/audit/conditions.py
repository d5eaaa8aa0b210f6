"""What would change a verdict: each condition with the command or the arm that settles it, from the tests alone."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from springback.experiments.audit.readings import Readings
from springback.experiments.audit.tests_planned import cheap
from springback.experiments.audit.tests_resolved import Tested
from springback.experiments.audit.thresholds import SCORER_AUC
from springback.experiments.audit.verdict import Ruling
from springback.experiments.audit.wording import said
from springback.stats.measured import Measured

MOST = 4
ARM = "arm: "
MORE = 8
"""A need for more than so many times the pairs is not a condition that a user can meet."""


def conditions(
    readings: Readings, tests: Mapping[str, Tested], rulings: Mapping[str, Ruling]
) -> list[Mapping[str, str | None]]:
    """Two to four of them, the ones that touch the verdict first; none for two identical models."""
    ruling = rulings["margin"]
    if ruling.reason == "identical":
        return []
    found = [*_missing(readings, ruling), *_undecided(readings, tests, ruling), *_seeds(readings, ruling)]
    found += [*_guards(readings, tests, ruling), *_score(readings, tests, rulings)]
    return [_settled(text, by) for text, by in found[:MOST]]


def _settled(text: str, by: str) -> Mapping[str, str | None]:
    """By a command, or by an arm that no option adds."""
    arm = by.removeprefix(ARM) if by.startswith(ARM) else None
    return {"text": text, "command": None if arm else by, "arm": arm}


def _missing(readings: Readings, ruling: Ruling) -> Iterator[tuple[str, str]]:
    shape, command = readings.shape, readings.command
    if ruling.reason in ("degenerate", "degenerate_reversed"):
        yield "Gentler tuning, if the model then still answers.", f"{command} --learning-rate 3e-5"
    if ruling.reason == "reversal_not_run":
        yield "The reversal itself: it needs wanted and opposite examples.", f"{command} --align FILE --reverse FILE"
    if ruling.reason == "no_cheap_size" and isinstance(shape.largest, int):
        sizes = ",".join(str(size) for size in (*shape.aligned[:-1], 4 * min(shape.reversed)))
        yield "A reversal of at most a quarter of the alignment.", f"{command} --align-sizes {sizes}"
    if "benign" not in shape.arms:
        yield "A benign chain of equal size that moves or falls as far. That arm was not run.", f"{ARM}benign"
    if ruling.reason in ("keeps", "reversal_idle"):
        sizes = ",".join(str(size) for size in (*shape.reversed, 2 * max(shape.reversed)))
        yield "A longer reversal, if more than half is then undone.", f"{command} --reverse-sizes {sizes}"


def _undecided(readings: Readings, tests: Mapping[str, Tested], ruling: Ruling) -> Iterator[tuple[str, str]]:
    """More pairs, where a deciding test is open and so many would settle a difference of the size that was seen."""
    if ruling.label in ("springs_back", "holds") or ruling.reason in ("degenerate", "degenerate_reversed"):
        return
    first = ruling.label == "not_aligned" or ruling.reason == "weak"  # then only the first test bears on the label
    family = [tests["margin/aligned"]] if first else [t for t in tests.values() if t.plan.family == "margin"]
    open_ones = [t for t in family if t.outcome == "undecided" and (t.statistic.estimate or 0) * t.plan.side > 0]
    needs = [(need, test) for test in open_ones if (need := _items(test))]
    if needs:
        need, test = min(needs, key=lambda one: one[0])
        shown = said(test.statistic, signed=True)
        yield f"More pairs. Undecided: {test.plan.claim} {shown}", f"{readings.command} --pairs {need}"


def _items(test: Tested) -> int | None:
    """Pairs at which a difference as large as the one seen would be found; None where that is too many or too few."""
    reach, seen = test.smallest_detectable, abs(test.statistic.estimate or 0.0)
    if not reach or not seen or not test.items:
        return None
    times = (reach / seen) ** 2
    return math.ceil(test.items * times / 16) * 16 if 1 < times <= MORE else None


def _seeds(readings: Readings, ruling: Ruling) -> Iterator[tuple[str, str]]:
    if readings.pooled:
        return
    held = "two seeds" if len(readings.seeds) == 2 else "one seed"
    what = {
        "springs_back": "the difference of falls then includes 0",
        "holds": "more than half is then undone on one of them",
        "not_aligned": "the gain is then clear of 0",
    }.get(ruling.label, "they agree")
    yield f"Other seeds, if {what}. This is {held}.", f"{readings.command} --seeds 0,1,2"


def _guards(readings: Readings, tests: Mapping[str, Tested], ruling: Ruling) -> Iterator[tuple[str, str]]:
    """Cheap explanations that the tests leave standing, or that were not asked about."""
    n = ruling.reversed or max(cheap(readings.shape), default=0)
    if ruling.label != "springs_back":
        return
    for arm, what in (("continuation", "a benign continuation"), ("from_start", "the start")):
        test = tests.get(f"margin/fall_beyond_{arm.replace('from_', '')}@{n}")
        if test is None and arm not in readings.shape.arms:
            yield f"{what.capitalize()} that falls as far under {n} examples. That arm was not run.", f"{ARM}{arm}"
        elif test is not None and test.outcome != "holds":
            shown = said(test.statistic, signed=True)
            yield (
                f"{what.capitalize()} falls as far, as far as these pairs can tell ({shown}).",
                f"{readings.command} --pairs {2 * test.items}",
            )


def _score(readings: Readings, tests: Mapping[str, Tested], rulings: Mapping[str, Ruling]) -> Iterator[tuple[str, str]]:
    command = f"{readings.command} --score FILE"
    if readings.score_why:
        yield f"A scorer that can tell wanted from opposite: {readings.score_why}. The margin needs none.", command
        return
    area = readings.scorer.get("auc")
    if not area or rulings["margin"].label not in ("springs_back", "holds"):
        return
    shown = said(replace(Measured.of(area), unit="")) if isinstance(area, Mapping) else str(area)
    limit = f"below {SCORER_AUC.value:g} it is not reported"
    yield (
        f"Another scorer. The score is read with one whose held-out AUC is {shown}; {limit}. The margin needs none.",
        command,
    )
