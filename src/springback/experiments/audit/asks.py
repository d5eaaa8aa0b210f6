"""Which paired differences an audit takes: each one names its cells and its arithmetic, nothing is computed here.

`main` contrasts speak of the aligned chain, `… beyond …` ones subtract what another model does under the same tuning.
An `undone` contrast of another arm is that arm's fall as a share of this alignment's gain: a placebo in its own unit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from springback.elasticity import rebound
from springback.experiments.audit.readings import START, Place, Readings, Shape
from springback.experiments.audit.thresholds import HALF

Items = NDArray[np.float64]
Formula = Callable[..., Items | tuple[Items, Items]]
SHARE = "share of the gain"


@dataclass(frozen=True, slots=True)
class Ask:
    """A contrast to take: what it is called, which cells it reads, and the arithmetic per item."""

    kind: str
    arm: str
    aligned: int | str
    reversed: int
    cells: tuple[Place, ...]
    formula: Formula
    unit: str | None = None
    """Where it is not the reading's own."""
    against: str | None = None
    """The arm that a "beyond" is taken against."""

    @property
    def short(self) -> str:
        return f"{self.kind}/{self.arm}/{self.aligned}/{self.reversed}"


def asks(readings: Readings) -> list[Ask]:
    """What can be asked of this shape; an arm that was asked for and is missing comes out unmeasured."""
    shape = readings.shape
    found = [one for size in shape.aligned for one in _of_size(readings, size)]
    found += [one for arm in ("benign", "from_start") for one in _of_arm(shape, arm)]
    found += [_steeper(readings, low, high) for low, high in pairwise(shape.aligned) if shape.reversed]
    if len(shape.aligned) > 2 and shape.reversed:
        found.append(_steeper(readings, shape.aligned[0], shape.largest))
    found += [Ask("change", at.arm, at.aligned, at.reversed, (START, at), rebound.change) for at in _tuned(readings)]
    if "noise" in shape.arms:
        found.append(Ask("noise", "noise", 0, 0, (START, Place("noise")), rebound.gain))
    return [one for one in found if not shape.places or shape.places.issuperset(one.cells)]


def _tuned(readings: Readings) -> list[Place]:
    """Every cell but the start and its second draw, each once, in the order of the grid."""
    places = dict.fromkeys(place for _, place in readings.cells)
    return [place for place in places if place != START and place.arm != "noise"]


def _of_size(readings: Readings, size: int | str) -> Iterator[Ask]:
    shape, main = readings.shape, Place("main", size)
    yield Ask("gain", "main", size, 0, (START, main), rebound.gain)
    if "benign" in shape.arms and size == shape.largest:
        yield Ask(
            "gain_beyond_benign", "main", size, 0, (Place("benign", shape.benign), main), rebound.gain, against="benign"
        )
    for n in shape.reversed:
        yield from _of_point(shape, main, Place("main", size, n))
    if shape.reversed:
        yield _slope(readings, size)


def _of_point(shape: Shape, main: Place, point: Place) -> Iterator[Ask]:
    size, n = point.aligned, point.reversed
    yield Ask("fall", "main", size, n, (main, point), rebound.change)
    yield Ask("undone", "main", size, n, (START, main, point), rebound.undone, SHARE)
    yield Ask("half_undone", "main", size, n, (START, main, point), _half_undone)
    yield Ask("overshoot", "main", size, n, (START, point), rebound.overshoot)
    if "from_start" in shape.arms:
        places = (main, point, START, Place("from_start", 0, n))
        yield Ask("fall_beyond_start", "main", size, n, places, rebound.beyond, against="from_start")
        yield Ask("undone", "from_start", size, n, (START, main, START, places[3]), _other_share, SHARE)
    if size == shape.largest:
        yield from _of_controls(shape, main, point)


def _of_controls(shape: Shape, main: Place, point: Place) -> Iterator[Ask]:
    size, n = point.aligned, point.reversed
    if "benign" in shape.arms:
        before, after = Place("benign", shape.benign), Place("benign", shape.benign, n)
        yield Ask("fall_beyond_benign", "main", size, n, (main, point, before, after), rebound.beyond, against="benign")
        yield Ask("undone", "benign", size, n, (START, main, before, after), _other_share, SHARE)
    if "continuation" in shape.arms:
        instead = Place("continuation", size, n)
        yield Ask("fall", "continuation", size, n, (main, instead), rebound.change)
        yield Ask("fall_beyond_continuation", "main", size, n, (instead, point), rebound.change, against="continuation")
        yield Ask("undone", "continuation", size, n, (START, main, instead), rebound.undone, SHARE)


def _of_arm(shape: Shape, arm: str) -> Iterator[Ask]:
    if arm not in shape.arms:
        return
    size = 0 if arm == "from_start" else shape.benign
    before = START if arm == "from_start" else Place(arm, size)
    if arm == "benign":
        yield Ask("gain", arm, size, 0, (START, before), rebound.gain)
    for n in shape.reversed:
        yield Ask("fall", arm, size, n, (before, Place(arm, size, n)), rebound.change)


def _half_undone(start: Items, aligned: Items, after: Items) -> Items:
    return rebound.half_undone(start, aligned, after, share=HALF.value)


def _other_share(start: Items, aligned: Items, before: Items, after: Items) -> tuple[Items, Items]:
    """Another model's fall, as a share of this alignment's gain: a placebo in the unit of the undone share."""
    return -rebound.change(before, after), rebound.gain(start, aligned)


def _slope(readings: Readings, size: int | str) -> Ask:
    n = min(readings.shape.reversed)
    steps = _steps(readings, Place("main", size, n))
    formula = lambda before, after: rebound.initial_slope(before, after, steps=steps)
    return Ask("slope", "main", size, n, (Place("main", size), Place("main", size, n)), formula, "per optimiser step")


def _steeper(readings: Readings, low: int | str, high: int | str) -> Ask:
    """Slope after `high` less slope after `low` aligned examples; plain `steeper` is the widest such pair."""
    n = min(readings.shape.reversed)
    places = (Place("main", high), Place("main", high, n), Place("main", low), Place("main", low, n))
    at_high, at_low = _steps(readings, places[1]), _steps(readings, places[3])

    def difference(before: Items, after: Items, other_before: Items, other_after: Items) -> Items:
        first = rebound.initial_slope(before, after, steps=at_high)
        return first - rebound.initial_slope(other_before, other_after, steps=at_low)

    widest = low == readings.shape.aligned[0] and high == readings.shape.largest
    return Ask(
        "steeper" if widest else f"steeper_than_{low}", "main", high, n, places, difference, "per optimiser step"
    )


def _steps(readings: Readings, place: Place) -> int:
    return max((cell.steps for (_, at), cell in readings.cells.items() if at == place), default=0) or 1
