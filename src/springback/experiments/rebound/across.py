"""Sweeps against each other: what a defence, a tuner, a mix, other data or another size changes. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from springback.elasticity import half_life, price, scaling
from springback.errors import RefusedError
from springback.experiments.rebound import returned
from springback.experiments.rebound.readings import Swept
from springback.stats.measured import Measured, unmeasured

Body = dict[str, Any]


def comparisons(swept: Sequence[Swept]) -> Iterator[tuple[str, Body]]:
    """Each sweep beside the one that differs on one axis only, where that one has the axis's first value."""
    for one in swept:
        for axis, value in one.sweep.varied.items():
            twin = _twin(one, axis, swept)
            if twin is not None:
                body = {"axis": axis, "value": value, "against": twin.sweep.varied[axis], "sweep": one.sweep.name,
                        "against_sweep": twin.sweep.name, **_compared(one, twin)}  # fmt: skip
                yield f"{axis}/{one.sweep.name}", body


def scales(swept: Sequence[Swept], parameters: Mapping[str, int]) -> Iterator[tuple[str, Body]]:
    """Power laws of the price of undoing over the models' sizes and pretraining tokens, other axes at their first."""
    models = [one for one in swept if all(axis == "model" or _first(one, axis, swept) for axis in one.sweep.varied)]
    if "model" not in models[0].sweep.varied:
        return
    sizes = {
        "parameters": [parameters.get(one.sweep.audit.model) for one in models],
        "pretraining_tokens": [one.sweep.pretraining_tokens for one in models],
    }
    for axis, given in sizes.items():
        known = [(float(size), one) for size, one in zip(given, models, strict=True) if size is not None]
        if len({size for size, _ in known}) > 1:
            names = [one.sweep.name for _, one in known]
            yield axis, {"axis": axis, "sweeps": names, **_law(known)}


def _law(known: Sequence[tuple[float, Swept]]) -> Body:
    """Half-life in reversed examples, by seed, against size."""
    values = np.array([_prices(one) for _, one in known])
    try:
        if not np.isfinite(values).all():
            return {
                "b": unmeasured("some model's gain is not clear of 0, or not half undone within what was read").json()
            }
        return scaling.power_law([size for size, _ in known], values).json()
    except RefusedError as error:
        return {"b": unmeasured(error.message).json()}


def _prices(one: Swept) -> list[float]:
    """Half-life in margin of each seed; ∞ where it is not reached, or where there is no clear gain to lose."""
    sizes = one.sizes("main", one.largest)
    start = one.margins("main", 0, 0)
    gained = one.contrast("margin", "gain", 0)
    if gained.low is None or gained.low <= 0:
        return [np.inf] * len(one.seeds)
    means = np.array([(one.margins("main", one.largest, n) - start).mean(axis=1) for n in sizes]).T
    return half_life.crossing(np.asarray(sizes, dtype=np.float64), means, 0.5).tolist()


def _compared(one: Swept, twin: Swept) -> Body:
    ratio = _ratio(one, twin)
    n = min(one.sizes("main", one.largest)[-1], twin.sizes("main", twin.largest)[-1])
    undone = {name: each.contrast("margin", "undone", n).json() for name, each in (("undone", one),
              ("against_undone", twin))}  # fmt: skip
    fine, why = one.reportable[0] and twin.reportable[0], one.reportable[1] or twin.reportable[1]
    told = {"reportable": fine, "why": why or None}
    return {"cost_to_undo": {**ratio.json(), "why": ratio.why}, "n": n, **undone, **told}


def _ratio(one: Swept, twin: Swept) -> Measured:
    sizes, mine = returned.left(one)
    others, theirs = returned.left(twin)
    if sizes != others or mine.shape != theirs.shape or len(sizes) < 2 or mine.shape[1] < 2:
        return unmeasured("the two sweeps were not read at the same sizes and pairs, two of each at least")
    return price.price_ratio(sizes, mine, theirs)


def _twin(one: Swept, axis: str, swept: Sequence[Swept]) -> Swept | None:
    """The sweep with the axis's first value and all else equal; None for that sweep itself."""
    rest = {name: value for name, value in one.sweep.varied.items() if name != axis}
    for other in swept:
        same = {name: value for name, value in other.sweep.varied.items() if name != axis} == rest
        if same:  # sweeps stand in the order of the axes, so the first alike has the first value
            return None if other is one else other
    return None


def _first(one: Swept, axis: str, swept: Sequence[Swept]) -> bool:
    return one.sweep.varied[axis] == swept[0].sweep.varied[axis]
