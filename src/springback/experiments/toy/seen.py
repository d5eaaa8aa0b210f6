"""One seed's cells, asked in the words of the predictions. Rates in bits per symbol, KL in bits per string."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import Arm, Cell

Data = Literal["pretraining", "aligned", "reversed"]


@dataclass(frozen=True, slots=True)
class Seen:
    """All cells of a seed, at one pretraining volume and one mix."""

    cells: Mapping[str, Mapping[str, Any]]
    config: Toy
    seed: int
    pretrain: int
    mix: float

    def at(self, *, pretrain: int | None = None, mix: float | None = None) -> "Seen":
        """The same seed in another world."""
        return replace(
            self, pretrain=self.pretrain if pretrain is None else pretrain, mix=self.mix if mix is None else mix
        )

    def cell(self, aligned: int, reversed: int, arm: Arm = "main") -> Mapping[str, Any]:
        """One cell; `aligned` 0 is the base."""
        arm = arm if aligned else "from_base"
        return self.cells[Cell(self.seed, self.pretrain, self.mix, arm, aligned, reversed).key]

    def moved(self, data: Data, aligned: int, reversed: int, arm: Arm = "main") -> float:
        """γ after n reversal strings less γ before any."""
        after, before = self.cell(aligned, reversed, arm), self.cell(aligned, 0, arm)
        return after["gamma"][data]["rate"] - before["gamma"][data]["rate"]

    def distances(self, aligned: int) -> dict[int, float]:
        """KL(base‖θ) by reversal size, 0 first."""
        return {n: self.cell(aligned, n)["kl_from_start"] for n in (0, *self.config.reverse_sizes)}

    def closest(self, aligned: int) -> tuple[int, float]:
        """Reversal size nearest to the base, fewest strings first, and its distance."""
        found = self.distances(aligned)
        nearest = min(found, key=lambda n: (found[n], n))
        return nearest, found[nearest]

    def undone(self, aligned: int) -> float:
        """Share of KL(base‖aligned) gone at the closest point: 0 never nearer, 1 back; 0 where nothing moved."""
        start = self.distances(aligned)[0]
        return (start - self.closest(aligned)[1]) / start if start > 0 else 0.0

    def k(self, aligned: int) -> float:
        """|D_p| / |D_a| in strings seen."""
        return self.pretrain / aligned


def slope(across: Mapping[int, float]) -> float:
    """Least-squares slope of values against log₂ of their places; 0 for fewer than two."""
    if len(across) < 2:
        return 0.0
    x, y = np.log2(np.array(list(across))), np.array(list(across.values()))
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))
