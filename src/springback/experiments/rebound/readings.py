"""What a finished sweep holds, as arrays: from the stored records of its audit alone. Torch-free."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.experiments.rebound.config import Sweep
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import over_seeds

Array = NDArray[np.float64]
Records = Mapping[str, Mapping[str, Any]]
SEEDS = 3
"""Fewest seeds for an interval over seeds."""


@dataclass(frozen=True)
class Swept:
    """One sweep with its records."""

    sweep: Sweep
    read: Callable[[str], Records]
    reportable: tuple[bool, str] = (True, "")
    """Whether its own checks let it be quoted, and if not, why."""

    @cached_property
    def cells(self) -> Records:
        return self.read("cell")

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({int(cell["seed"]) for cell in self.cells.values()}))

    @cached_property
    def aligned(self) -> tuple[int | str, ...]:
        """Alignment sizes N of the main arm, the largest last."""
        found = {key.split("/")[2] for key in self.cells if key.split("/")[1] == "main"} - {"0"}
        return tuple(sorted((int(n) if n.isdecimal() else n for n in found), key=lambda n: (isinstance(n, str), n)))

    @property
    def largest(self) -> int | str:
        return self.aligned[-1]

    def sizes(self, arm: str, aligned: int | str) -> tuple[int, ...]:
        """Reversal sizes at which this arm was read on every seed, 0 first where the model itself was."""
        read = [{int(key.split("/")[3]) for key in self.cells if key.startswith(f"{seed}/{arm}/{aligned}/")}
                for seed in self.seeds]  # fmt: skip
        return tuple(sorted(set.intersection(*read))) if read else ()

    def cell(self, seed: int, arm: str, aligned: int | str, n: int) -> Mapping[str, Any] | None:
        return self.cells.get(f"{seed}/{arm}/{aligned}/{n}")

    def items(self, kind: str, name: str, arm: str, aligned: int | str, n: int) -> Array:
        """[seed, item]: one number of each pair or neutral text at a point, in the items' order."""
        cells = [self._of(kind, f"{seed}/{arm}/{aligned}/{n}") for seed in self.seeds]
        return np.array([[body[name] for body in cell] for cell in cells], dtype=np.float64)

    def margins(self, arm: str, aligned: int | str, n: int) -> Array:
        """[seed, pair], bit/bit."""
        return self.items("pair", "margin", arm, aligned, n)

    def measured(self, name: str, arm: str, aligned: int | str, n: int) -> Measured:
        """A reading of a cell (`kl_from_start`, `behaviour.score`): over seeds from three on, else the first seed's."""
        found = [self._value(seed, name, arm, aligned, n) for seed in self.seeds]
        if len(found) < SEEDS or any(one.estimate is None for one in found):
            return found[0]
        return over_seeds([one.estimate for one in found if one.estimate is not None], unit=found[0].unit)

    def spent(self, name: str, arm: str, aligned: int | str, n: int) -> Mapping[str, Any]:
        """Examples, tokens and steps of the phase `align` or `reverse` behind a point, on the first seed."""
        cell = self.cell(self.seeds[0], arm, aligned, n)
        return cell[name] if cell else {"examples": n, "tokens": None, "steps": None}

    def contrast(self, reading: str, kind: str, n: int) -> Measured:
        """A paired difference of the audit at the largest N: over seeds where it has one, else the first seed's."""
        name = f"{reading}/{kind}/main/{self.largest}/{n}"
        for seed in ("all", *self.seeds):
            if (found := self._contrasts.get(f"{name}/{seed}")) is not None:
                return Measured.of(found["value"])
        return unmeasured(f"{name} was not measured")

    @cached_property
    def _contrasts(self) -> dict[str, Mapping[str, Any]]:
        return {str(body["name"]): body for body in self.read("contrast").values()}

    @cached_property
    def _grouped(self) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for kind in ("pair", "document"):
            for body in self.read(kind).values():
                groups.setdefault((kind, str(body["cell"])), []).append(body)
        return {key: sorted(bodies, key=lambda body: int(body["index"])) for key, bodies in groups.items()}

    def _of(self, kind: str, cell: str) -> Sequence[Mapping[str, Any]]:
        return self._grouped.get((kind, cell), [])

    def _value(self, seed: int, name: str, arm: str, aligned: int | str, n: int) -> Measured:
        body: Any = self.cell(seed, arm, aligned, n)
        if body is None:
            return unmeasured(f"{seed}/{arm}/{aligned}/{n} was not read")
        for part in name.split("."):
            body = body[part]
        return Measured.of(body)
