"""A stand-in of known law: a spring that alignment pulls away and a reversal lets go, read with noise."""

from dataclasses import dataclass, field

import numpy as np

from springback.experiments.audit.readings import Cell, Place, Readings, seeds_of, shape_of


@dataclass(frozen=True, kw_only=True)
class Spring:
    """Margins (bit/bit) and scores of every cell of an audit, known in advance but for the noise."""

    gain: float = 0.009
    """What aligning adds to the margin at the largest N."""
    back: dict[int, float] = field(default_factory=lambda: {8: 0.3, 32: 1.0, 64: 1.2})
    """Share of the gain undone by n reversed examples."""
    benign_gain: float = 0.0
    benign_fall: float = 0.001
    start_fall: float = 0.001
    continuation: float = 0.1
    """Share of the gain that a benign continuation undoes."""
    noise: float = 0.004
    score_noise: float = 0.2
    score_slope: float = 30.0
    """Score per margin; negative turns it round."""
    returned: float = 0.0
    """Share of the KL that the reversal takes back."""
    pairs: int = 48
    aligned: tuple[int | str, ...] = (32, 128)
    reversed: tuple[int, ...] = (8, 32, 64)
    arms: tuple[str, ...] = ("main", "benign", "from_start", "continuation")
    seeds: tuple[int, ...] = (0,)
    degenerate: tuple[Place, ...] = ()
    seed: int = 0
    read: tuple[str, ...] = ("margin", "score", "gamma", "kl")
    """Which readings the cells carry: fewer are quicker."""

    def truth(self, place: Place) -> float:
        """Mean margin of a cell above the start's."""
        arm, size, n = place
        whole = {"main": self.gain, "benign": self.benign_gain, "from_start": 0.0, "continuation": self.gain}[arm]
        if arm == "main" and size != self.aligned[-1]:
            whole *= 0.7 if size else 0.0
        share = self.back.get(n, 0.0)
        fall = {
            "main": whole * share,
            "benign": self.benign_fall,
            "from_start": self.start_fall,
            "continuation": whole * self.continuation,
        }
        return whole - (fall[arm] if n else 0.0)

    def places(self) -> list[Place]:
        last = self.aligned[-1]
        found = [Place("main"), *(Place("main", size, n) for size in self.aligned for n in (0, *self.reversed))]
        if "benign" in self.arms:
            found += [Place("benign", 128 if isinstance(last, str) else last, n) for n in (0, *self.reversed)]
        if "from_start" in self.arms:
            found += [Place("from_start", 0, n) for n in self.reversed]
        if "continuation" in self.arms:
            found += [Place("continuation", last, n) for n in self.reversed]
        return found

    def readings(self, **more) -> Readings:
        generator = np.random.default_rng(self.seed)
        base = generator.normal(0.002, 0.02, self.pairs)
        cells = {(s, place): self._cell(place, base, generator) for s in self.seeds for place in self.places()}
        ids = [place.id(s) for s, place in cells]
        return Readings(shape_of(ids), seeds_of(ids), cells, **more)

    def _cell(self, place: Place, base: np.ndarray, generator: np.random.Generator) -> Cell:
        above, start = self.truth(place), place == Place("main")
        margins = base if start else base + above + generator.normal(0, self.noise, self.pairs)
        scores = np.clip(0.42 + self.score_slope * above + generator.normal(0, self.score_noise, self.pairs), 0, 1)
        kl = 0.0 if start else (1 - self.returned * bool(place.reversed))
        bits = {i: tuple(kl * generator.uniform(0.8, 1.2, 12)) for i in range(self.pairs)}
        series = {
            "margin": dict(enumerate(margins.tolist())),
            "score": dict(enumerate(scores.tolist())),
            "gamma": dict(enumerate((-base).tolist())),
            "kl": {i: sum(tokens) / len(tokens) for i, tokens in bits.items()},
        }
        size = place.aligned if isinstance(place.aligned, int) else 0
        why = "one word" if place in self.degenerate else None
        series = {name: series[name] for name in self.read}
        return Cell(series, bits, (place.reversed or size) // 8, 22 * (place.reversed or size), why)
