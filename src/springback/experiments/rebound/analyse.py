"""All records of a rebound run, from those of its sweeps: cells, what each says of elasticity, comparisons, verdict.

Torch-free; equal sweeps give equal records.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from springback.experiments.rebound import across, elastic, verdict
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
    yield "closest_return", name, {"sweep": name, **elastic.returned(one, tolerance)}
    shot = {reading: elastic.overshot(one, reading).json() for reading in ("margin", "score")}
    yield "overshoot", name, {"sweep": name, **shot}
    price = elastic.price(one)
    yield "price", name, {"sweep": name, "half_life": {**price.json(), "why": price.why}}
    yield "agreement", name, {"sweep": name, **elastic.agreement(one, tolerance)}
    found = dict(one.read("verdict").get("verdict") or {})
    ruled = {part: found.get(part) for part in ("label", "headline", "sentence", "reportable", "why")}
    yield "sweep", name, {"sweep": name, "varied": one.sweep.varied, **ruled, "tests": list(one.read("test").values())}
