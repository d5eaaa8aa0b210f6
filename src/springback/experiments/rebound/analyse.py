"""All records of a rebound run, from those of its sweeps: cells, what each says of elasticity, comparisons, verdict.

Torch-free; equal sweeps give equal records.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from springback.experiments.rebound import across, elastic, returned, verdict
from springback.experiments.rebound.readings import Swept

Record = tuple[str, str, dict[str, Any]]


def analyse(swept: Sequence[Swept], *, tolerance: float, parameters: Mapping[str, int]) -> Iterator[Record]:
    """The verdict's record last."""
    told = {}
    for one in swept:
        found = list(_sweep(one, tolerance))
        yield from found
        told[one.sweep.name] = {kind: body for kind, _, body in found if kind != "cell"}
    for key, body in across.comparisons(swept):
        yield "comparison", key, body
    for key, body in across.scales(swept, parameters):
        yield "scaling", key, body
    yield "verdict", "verdict", verdict.rule(told, tolerance)


def _sweep(one: Swept, tolerance: float) -> Iterator[Record]:
    name = one.sweep.name
    for key, cell in one.cells.items():
        body = {part: value for part, value in cell.items() if part != "cost"}
        yield "cell", f"{name}/{key}", {"sweep": name, **body}
    stiff = elastic.stiff(one)
    yield "stiffness", name, {"sweep": name, **stiff}
    for seed, body in elastic.interfering(one, stiff):
        yield "interference", f"{name}/{seed}", {"sweep": name, **body}
    yield "closest_return", name, {"sweep": name, **returned.returned(one, tolerance)}
    shot = {reading: returned.overshot(one, reading).json() for reading in ("margin", "score")}
    last = one.sizes("main", one.largest)[-1]
    yield "overshoot", name, {"sweep": name, "n": last, **shot}
    price = returned.price(one)
    reached = True if price.measured else False if str(price.why).startswith("not reached") else None
    half = {**price.json(), "why": price.why}
    yield "price", name, {"sweep": name, "read_to": last, "reached": reached, "half_life": half}
    yield "agreement", name, {"sweep": name, **returned.agreement(one, tolerance)}
    yield "sweep", name, {"sweep": name, "varied": one.sweep.varied, **_ruled(one)}


def _ruled(one: Swept) -> dict[str, Any]:
    """What the sweep's own audit has decided, and whether its own checks let it be quoted."""
    found = dict(one.read("verdict").get("verdict") or {})
    fine, why = one.reportable
    said = {part: found.get(part) for part in ("label", "headline", "sentence")}
    return {**said, "reportable": fine, "why": why or None, "tests": list(one.read("test").values())}
