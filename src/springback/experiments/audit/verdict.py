"""From tests to one of four labels, and why it is that one. Only stated tests are read; nothing is weighed.

The same rules are asked of the margin, which decides, and of the score, which stands beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from springback.experiments.audit.contrasts import NO_GAIN
from springback.experiments.audit.readings import START, Place, Readings
from springback.experiments.audit.tests_planned import cheap, control
from springback.experiments.audit.tests_resolved import Tested
from springback.experiments.audit.thresholds import ALPHA
from springback.stats.paired import least_p

Label = Literal["holds", "springs_back", "not_aligned", "inconclusive"]
Reason = Literal[
    "identical",  # not_aligned: the two models are the same
    "no_further",  # not_aligned: no further than the benign chain
    "other_way",  # not_aligned: away from wanted
    "aligned_unmeasured",
    "degenerate",  # the aligned model does not answer any more
    "few_pairs",  # no result whatever could have been significant
    "weak",  # the interval is clear of 0, the corrected test is not, or the seeds disagree
    "reversal_not_run",
    "gain_unclear",  # further than the benign chain, but no clear gain over the start of which half could be undone
    "springs",  # springs_back
    "keeps",  # holds
    "degenerate_reversed",  # what fell, or held, is a broken model
    "reversal_idle",  # less than half undone, and the reversal moved no model at all
    "no_cheap_size",  # no reversal size is at most N/4
    "control_unmeasured",  # no unaligned model went through the same reversal
    "any_tuning",  # half is undone, but not beyond what an unaligned model loses
    "late",  # half is undone at the largest size only, which is more than N/4
    "share_open",  # falls further, but whether half is undone cannot be told
    "open",  # none of the tests is decided
]


@dataclass(frozen=True, slots=True)
class Ruling:
    """A label, the rule that gave it, and the reversal size that it rests on."""

    label: Label
    reason: Reason
    reversed: int = 0


def rule(readings: Readings, tests: Mapping[str, Tested], reading: str = "margin") -> Ruling:
    """The verdict of one reading."""
    return _alignment(readings, tests, reading) or _rebound(readings, tests, reading)


def identical(readings: Readings) -> bool:
    """Whether the aligned model equals the start in every stored value: margins and KL, on every seed."""
    pairs = [(readings.cell(s, START), readings.cell(s, Place("main", readings.shape.largest))) for s in readings.seeds]
    return all(
        start is not None
        and aligned is not None
        and bool(aligned.series.get("margin"))
        and start.series["margin"] == aligned.series["margin"]
        and not any(aligned.series.get("kl", {}).values())
        for start, aligned in pairs
    )


def broken(readings: Readings, place: Place) -> str | None:
    """Why the model at a place no longer answers, on the first seed where it does not."""
    cells = (readings.cell(seed, place) for seed in readings.seeds)
    return next((cell.degenerate for cell in cells if cell is not None and cell.degenerate), None)


def _alignment(readings: Readings, tests: Mapping[str, Tested], reading: str) -> Ruling | None:
    """Whether there is an alignment to ask about; None where there is."""
    aligned = tests[f"{reading}/aligned"]
    if identical(readings):
        return Ruling("not_aligned", "identical")
    if aligned.outcome == "not_measured":
        return Ruling("inconclusive", "aligned_unmeasured")
    if broken(readings, Place("main", readings.shape.largest)):
        return Ruling("inconclusive", "degenerate")
    if _too_few(aligned, tests):
        return Ruling("inconclusive", "few_pairs")
    if 2 * aligned.clear < len(readings.seeds):
        return Ruling("not_aligned", "other_way" if aligned.outcome == "fails" else "no_further")
    return None if aligned.outcome == "holds" else Ruling("inconclusive", "weak")


def _rebound(readings: Readings, tests: Mapping[str, Tested], reading: str) -> Ruling:
    """What the reversal did to an alignment that is there."""
    shape = readings.shape
    reversal = [t for t in tests.values() if t.plan.family == reading and t.plan.reversed]
    if any((test.statistic.why or "").startswith(NO_GAIN) for test in reversal):
        return Ruling("inconclusive", "gain_unclear", max(cheap(shape), default=max(shape.reversed)))
    if all(test.outcome == "not_measured" for test in reversal):
        return Ruling("inconclusive", "reversal_not_run")
    for n in cheap(shape):
        if _outcome(tests, f"{reading}/falls_beyond@{n}") == _outcome(tests, f"{reading}/half_undone@{n}") == "holds":
            whole = not broken(readings, Place("main", shape.largest, n))
            return Ruling("springs_back", "springs", n) if whole else Ruling("inconclusive", "degenerate_reversed", n)
    last = max(shape.reversed)
    if _outcome(tests, f"{reading}/half_left@{last}") == "holds":
        return _kept(readings, tests, last)
    return _open(readings, tests, reading)


def _kept(readings: Readings, tests: Mapping[str, Tested], last: int) -> Ruling:
    """Less than half is undone at the largest size: held, unless the model is broken or the reversal did nothing."""
    if broken(readings, Place("main", readings.shape.largest, last)):
        return Ruling("inconclusive", "degenerate_reversed", last)
    moved = any(test.outcome == "holds" for name, test in tests.items() if name.startswith("margin/falls/"))
    return Ruling("holds", "keeps", last) if moved else Ruling("inconclusive", "reversal_idle", last)


def _open(readings: Readings, tests: Mapping[str, Tested], reading: str) -> Ruling:
    """Which of the tests left it open: the first that applies."""
    shape, sizes, last = readings.shape, cheap(readings.shape), max(readings.shape.reversed)
    beyond = {n: _outcome(tests, f"{reading}/falls_beyond@{n}") for n in sizes}
    half = {n: _outcome(tests, f"{reading}/half_undone@{n}") for n in sizes}
    if not sizes:
        return Ruling("inconclusive", "no_cheap_size", last)
    if control(shape) is None or set(beyond.values()) == {"not_measured"}:
        return Ruling("inconclusive", "control_unmeasured", max(sizes))
    for n in sizes:
        if half[n] == "holds":
            return Ruling("inconclusive", "any_tuning", n)
    if _outcome(tests, f"{reading}/half_left@{last}") == "fails":
        return Ruling("inconclusive", "late", last)
    fallen = [n for n in sizes if beyond[n] == "holds"]
    return Ruling("inconclusive", "share_open" if fallen else "open", max(fallen or sizes))


def _outcome(tests: Mapping[str, Tested], name: str) -> str:
    return tests[name].outcome if name in tests else "not_measured"


def _too_few(aligned: Tested, tests: Mapping[str, Tested]) -> bool:
    """Whether even differences that all agree could not have been significant after correction."""
    family = sum(test.plan.family == aligned.plan.family for test in tests.values())
    return family * least_p(aligned.items) > ALPHA.value
