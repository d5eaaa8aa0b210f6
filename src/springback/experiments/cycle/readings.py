"""What is stored of a cycle, as arrays: margins of the held-out pairs and rates of the held-out documents. Torch-free.

A curve goes through one stage of an arm, from the model that the stage begins from: [point, item], one array a seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from springback.experiments.cycle.chain import Arm, Course, Place, Stage, start
from springback.stats.measured import Measured, mean
from springback.stats.paired import over_seeds

Array = NDArray[np.float64]
Quantity = Literal["margin", "text"]
Count = Literal["examples", "tokens", "steps"]
OVER: Final = {"margin": "pairs", "text": "documents"}
SEEDS: Final = 3
"""From so many seeds on, intervals are over seeds; below, over items, each averaged over the seeds."""
UNIT: Final = "bit/bit"


@dataclass(slots=True)
class Readings:
    """All points of a finished walk."""

    course: Course
    read: Callable[[str], Mapping[str, Mapping[str, Any]]]
    """Stored records of a kind by key."""
    _cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _held: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        return self.course.seeds

    def way(self, seed: int, arm: Arm, *stages: Stage) -> list[Place]:
        """The model that the first of these stages begins from, and every point of them all."""
        legs = [self.course.leg(seed, arm, stage) for stage in stages]
        found = [point for leg in legs if leg is not None for point in leg.points]
        first = legs[0].origin if legs[0] is not None else None
        return [first or start(seed), *found]

    def has(self, arm: Arm, stage: Stage) -> bool:
        return self.course.leg(self.seeds[0], arm, stage) is not None

    def curve(self, seed: int, quantity: Quantity, arm: Arm, *stages: Stage) -> Array:
        """[point, item]: margins of the pairs in bit/bit, or γ of the documents, along the stages."""
        return np.stack([self.items(quantity, point) for point in self.way(seed, arm, *stages)])

    def at(self, seed: int, count: Count, arm: Arm, *stages: Stage) -> Array:
        """Where the points of a curve lie: examples, supervised tokens or optimiser steps since the first of them."""
        totals = [self._total(point, count) for point in self.way(seed, arm, *stages)]
        return np.asarray(totals, dtype=np.float64) - totals[0]

    def items(self, quantity: Quantity, point: Place) -> Array:
        """One value an item at a point."""
        if quantity not in self._held:
            self._held[quantity] = self._all(quantity)
        return np.asarray(self._held[quantity][point.id], dtype=np.float64)

    def measured(self, values: list[Array], quantity: Quantity, unit: str = UNIT) -> Measured:
        """The mean of one array a seed: over seeds from three on, else over items."""
        if len(values) >= SEEDS:
            return over_seeds([float(one.mean()) for one in values], unit=unit)
        return mean(np.mean(values, axis=0), over=OVER[quantity], unit=unit)

    def _total(self, point: Place, count: Count) -> int:
        """Behind a point, all stages together."""
        self._cells = self._cells or self.read("cell")
        return sum(stage[count] for stage in self._cells[point.id]["behind"].values())

    def _all(self, quantity: Quantity) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for body in self.read("pair" if quantity == "margin" else "document").values():
            value = body["margin"] if quantity == "margin" else body["bits"] / (8 * body["bytes"])
            found.setdefault(body["cell"], []).append(value)
        return found
