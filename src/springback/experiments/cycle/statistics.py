"""The statistics of the questions: each takes all readings and gives one measured number. Torch-free."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from springback.experiments.cycle.chain import Arm, Stage
from springback.experiments.cycle.half_lives import GAINS, WEARS, Wear, left
from springback.experiments.cycle.priming import Climb, examples, stretch_ratio
from springback.experiments.cycle.readings import OVER, SEEDS, Array, Readings
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import over_seeds, ratio_of_means
from springback.stats.unpaired import difference

Find = Callable[[Readings], Measured]


def gain(arm: Arm, stage: Stage) -> Find:
    """What a stage gained, in the direction that it is for."""

    def find(readings: Readings) -> Measured:
        of = GAINS[stage]
        curves = [readings.curve(seed, of.quantity, arm, stage) for seed in readings.seeds]
        return readings.measured([of.sign * (curve[-1] - curve[0]) for curve in curves], of.quantity)

    return find


def text_lost(readings: Readings) -> Measured:
    """γ of held-out text at the end of the cycle, less γ after stage 1."""
    ways = [readings.curve(seed, "text", "main", "align", "reverse", "realign") for seed in readings.seeds]
    return readings.measured([way[-1] - way[0] for way in ways], "text")


def beyond_benign(readings: Readings) -> Measured:
    """Paired over pairs: both chains begin from the same aligned model, so its margin falls out."""
    benign = [readings.curve(seed, "margin", "benign", "benign")[-1] for seed in readings.seeds]
    turned = [readings.curve(seed, "margin", "main", "reverse")[-1] for seed in readings.seeds]
    return readings.measured([one - other for one, other in zip(benign, turned, strict=True)], "margin")


def goes_first(readings: Readings) -> Measured:
    """Share of the alignment left after the reversal, less the share of the text's gain left by the same reversal."""
    text, align = (_share(readings, wear) for wear in WEARS if wear.by == "reverse" and wear.of in ("align", "text"))
    if len(readings.seeds) < SEEDS:
        return difference(align[0], text[0])
    values = [(one.estimate, other.estimate) for one, other in zip(align, text, strict=True)]
    known = [a - b for a, b in values if a is not None and b is not None]
    if len(known) < len(values):
        return unmeasured("on one of the seeds a stage gained nothing to lose")
    return over_seeds(known, unit="share of the gain")


def quicker_than(arm: Arm, stage: Stage) -> Find:
    """Examples of the re-alignment over those of another training, for the same stretch of margin."""
    return lambda readings: _ratio([_ascent(readings, seed, arm, stage) for seed in readings.seeds])


class _Ascent(NamedTuple):
    """The re-alignment, what it is compared with, and the first alignment's last margins, on one seed."""

    again: Climb
    other: Climb
    top: Array


def _ascent(readings: Readings, seed: int, arm: Arm, stage: Stage) -> _Ascent:
    again = _climb(readings, seed, "main", "realign")
    return _Ascent(again, _climb(readings, seed, arm, stage), readings.curve(seed, "margin", "main", "align")[-1])


def _climb(readings: Readings, seed: int, arm: Arm, stage: Stage) -> Climb:
    return Climb(readings.at(seed, "examples", arm, stage), readings.curve(seed, "margin", arm, stage))


def _ratio(found: Sequence[_Ascent]) -> Measured:
    """Over pairs, each averaged over the seeds; from three seeds on, the geometric mean over seeds."""
    if len(found) < SEEDS:
        again = Climb(found[0].again.at, np.mean([one.again.margins for one in found], axis=0))
        other = Climb(found[0].other.at, np.mean([one.other.margins for one in found], axis=0))
        return stretch_ratio(again, other, np.mean([one.top for one in found], axis=0))
    if any(climb.margins[0].mean() >= one.top.mean() for one in found for climb in (one.again, one.other)):
        return unmeasured("there is nothing to regain on one of the seeds")
    taken = [examples(*one) for one in found]
    if not np.isfinite(taken).all():
        return unmeasured("on one of the seeds a training does not come half of the way within what was read")
    logs = over_seeds([math.log(again / other) for again, other in taken], unit="ratio")
    estimate, low, high = (None if end is None else math.exp(end) for end in (logs.estimate, logs.low, logs.high))
    return Measured(estimate, low, high, logs.level, logs.n, logs.over, "ratio", logs.why)


def _share(readings: Readings, wear: Wear) -> list[Measured]:
    """By seed from three on; below, one number for all."""
    over, found = OVER[GAINS[wear.of].quantity], left(readings, wear)
    values = [np.mean(found, axis=0)] if len(found) < SEEDS else found
    return [ratio_of_means(one[-1], one[0], over=over, unit="share of the gain") for one in values]
