"""What each stage gained, and how the stages after it wear that down: half-lives by examples, tokens and steps.

    text      gain  γ before − γ after, held-out documents       left at θ: γ(before the stage) − γ(θ)
    align     gain  margin after − before, held-out pairs        left at θ: margin(θ) − margin(before)
    reverse   gain  margin before − after                        left at θ: margin(before) − margin(θ)
    realign   gain  margin after − before                        no stage follows

A half-life is where the mean left first is at most half of what was left when the wearing stage began
(`elasticity/half_life.py`). `rest` is all stages after the text, one after another.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from springback.elasticity.half_life import crossing, until
from springback.experiments.cycle.chain import Arm, Stage
from springback.experiments.cycle.readings import OVER, SEEDS, UNIT, Array, Count, Quantity, Readings
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import over_seeds

COUNTS: Final[tuple[Count, ...]] = ("examples", "tokens", "steps")


READ: Final = {"text": "gamma of held-out text", "margin": "margin"}


class Gain(NamedTuple):
    """What a stage is for: which reading, in which direction."""

    quantity: Quantity
    sign: int


class Wear(NamedTuple):
    """A gain, and the stages that may take it away."""

    of: Stage
    by: str
    arm: Arm
    stages: tuple[Stage, ...]


GAINS: Final[dict[Stage, Gain]] = {
    "text": Gain("text", -1), "align": Gain("margin", 1), "reverse": Gain("margin", -1), "realign": Gain("margin", 1),
    "benign": Gain("margin", 1),
}  # fmt: skip
WEARS: Final = (
    Wear("text", "align", "main", ("align",)), Wear("text", "reverse", "main", ("reverse",)),
    Wear("text", "realign", "main", ("realign",)), Wear("text", "rest", "main", ("align", "reverse", "realign")),
    Wear("text", "benign", "benign", ("benign",)),
    Wear("align", "reverse", "main", ("reverse",)), Wear("align", "benign", "benign", ("benign",)),
    Wear("reverse", "realign", "main", ("realign",)),
)  # fmt: skip
STAGES: Final[tuple[tuple[Arm, Stage], ...]] = (
    ("main", "text"), ("main", "align"), ("main", "reverse"), ("main", "realign"), ("benign", "benign"),
    ("unaligned", "benign"), ("unaligned", "reverse"), ("unaligned", "realign"),
)  # fmt: skip


def stages(readings: Readings) -> Iterator[dict[str, Any]]:
    """The bodies of the `stage` records: gain of each stage, level before and after, what it cost."""
    for arm, stage in STAGES:
        if readings.has(arm, stage):
            gain = GAINS[stage]
            curves = [readings.curve(seed, gain.quantity, arm, stage) for seed in readings.seeds]
            cost = {count: float(np.mean([readings.at(seed, count, arm, stage)[-1] for seed in readings.seeds]))
                    for count in COUNTS}  # fmt: skip
            yield {
                "arm": arm, "stage": stage, "reading": READ[gain.quantity],
                "gain": readings.measured([gain.sign * (c[-1] - c[0]) for c in curves], gain.quantity).json(),
                "before": readings.measured([c[0] for c in curves], gain.quantity).json(),
                "after": readings.measured([c[-1] for c in curves], gain.quantity).json(),
                **cost,
            }  # fmt: skip


def half_lives(readings: Readings) -> Iterator[dict[str, Any]]:
    """The bodies of the `half_life` records; the re-alignment's says why it has none."""
    for wear in WEARS:
        if readings.has(wear.arm, wear.stages[0]):
            yield {"of": wear.of, "by": wear.by, "arm": wear.arm, "left": _shares(readings, wear),
                   **{count: _told(half_life(readings, wear, count)) for count in COUNTS}}  # fmt: skip
    none = unmeasured("no stage follows the re-alignment").json()
    yield {"of": "realign", "by": None, "arm": "main", "left": [], **dict.fromkeys(COUNTS, none)}


def left(readings: Readings, wear: Wear) -> list[Array]:
    """[point, item] for each seed: what is left of the gain along the wearing stages."""
    gain = GAINS[wear.of]
    found = []
    for seed in readings.seeds:
        before = readings.curve(seed, gain.quantity, "main", wear.of)[0]
        found.append(gain.sign * (readings.curve(seed, gain.quantity, wear.arm, *wear.stages) - before))
    return found


def half_life(readings: Readings, wear: Wear, count: Count) -> Measured:
    """Where half of what was left at the beginning of the wear is gone, counted in `count`."""
    values, quantity = left(readings, wear), GAINS[wear.of].quantity
    places = [readings.at(seed, count, wear.arm, *wear.stages) for seed in readings.seeds]
    if len(values) < SEEDS:
        at = np.mean(places, axis=0)
        return until(at.tolist(), np.mean(values, axis=0), over=OVER[quantity], unit=count)
    return _of_seeds(places, values, count)


def _of_seeds(places: Sequence[Array], values: Sequence[Array], unit: str) -> Measured:
    first = over_seeds([float(one[0].mean()) for one in values], unit=UNIT)
    if first.low is None or first.low <= 0:
        return unmeasured("there is nothing to lose: the first value is not clear of 0 over seeds")
    found = [float(crossing(at, one.mean(1)[None], 0.5)[0]) for at, one in zip(places, values, strict=True)]
    reached = [one for one in found if np.isfinite(one)]
    if len(reached) < len(found):
        lost = len(found) - len(reached)
        return unmeasured(f"not reached within {places[0][-1]:g} {unit} on {lost} of {len(found)} seeds")
    return over_seeds(reached, unit=unit)


def _told(found: Measured) -> dict[str, Any]:
    """With the reason why an upper end is missing, where it is."""
    return {**found.json(), **({"why": found.why} if found.why else {})}


def _shares(readings: Readings, wear: Wear) -> list[dict[str, float]]:
    """What is left at each size, as mean difference in bit/bit: what the half-life is read from."""
    means = np.mean([one.mean(1) for one in left(readings, wear)], axis=0)
    at = np.mean([readings.at(seed, "examples", wear.arm, *wear.stages) for seed in readings.seeds], axis=0)
    return [{"examples": float(x), "left": float(y)} for x, y in zip(at, means, strict=True)]
