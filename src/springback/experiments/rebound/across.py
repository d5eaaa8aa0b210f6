"""Sweeps against each other: what a defence, a tuner, a mix, other data or another size changes. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from springback.elasticity import half_life, price, scaling
from springback.errors import RefusedError
from springback.experiments.rebound import elastic
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
        known = [float(size) for size in given if size is not None]
        if len(set(known)) > 1:
            yield axis, {"axis": axis, "sweeps": [one.sweep.name for one in models], **_law(known, models)}


def _law(sizes: list[float], models: Sequence[Swept]) -> Body:
    """Half-life in reversed examples, by seed, against size."""
    values = np.array([_prices(one) for one in models]) if len(sizes) == len(models) else np.zeros((0, 1))
    try:
        if not np.isfinite(values).all():
            return {"b": unmeasured("some model's gain was not half undone within what was read").json()}
        return scaling.power_law(sizes, values).json()
    except RefusedError as error:
        return {"b": unmeasured(error.message).json()}


def _prices(one: Swept) -> list[float]:
    """Half-life in margin of each seed, ∞ where it is not reached."""
    sizes = one.sizes("main", one.largest)
    start = one.margins("main", 0, 0)
    means = np.array([(one.margins("main", one.largest, n) - start).mean(axis=1) for n in sizes]).T
    return half_life.crossing(np.asarray(sizes, dtype=np.float64), means, 0.5).tolist()


def _compared(one: Swept, twin: Swept) -> Body:
    ratio = _ratio(one, twin)
    n = min(one.sizes("main", one.largest)[-1], twin.sizes("main", twin.largest)[-1])
    undone = {name: each.contrast("margin", "undone", n).json() for name, each in (("undone", one),
              ("against_undone", twin))}  # fmt: skip
    return {"cost_to_undo": {**ratio.json(), "why": ratio.why}, "n": n, **undone}


def _ratio(one: Swept, twin: Swept) -> Measured:
    sizes, mine = elastic.left(one)
    others, theirs = elastic.left(twin)
    if sizes != others or mine.shape != theirs.shape:
        return unmeasured("the two sweeps were not read at the same sizes and pairs")
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
