"""What the verdict reads: one value per prompt or pair for every measured cell, built from stored records alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from springback.experiments.audit.thresholds import SEEDS

Records = Mapping[str, Mapping[str, Any]]
Series = Mapping[int, float]
"""Index of the prompt or pair → its value."""

READINGS = ("margin", "score", "gamma", "kl")
UNITS = {"margin": "bit/bit", "score": "score", "gamma": "bit/bit", "kl": "bit/token"}
OVER = {"margin": "pairs", "score": "prompts", "gamma": "pairs", "kl": "prompts"}
SAYS = {
    "margin": "up is more of the wanted behaviour",
    "score": "up is more of the wanted behaviour",
    "gamma": "γ of the wanted text with its sign turned: up is a shorter code",
    "kl": "up is further from the start",
}


class Place(NamedTuple):
    """A cell without its seed: arm, aligned examples N (`given` for a MODEL that came aligned), reversed examples n."""

    arm: str
    aligned: int | str = 0
    reversed: int = 0

    def id(self, seed: int) -> str:
        return f"{seed}/{self.arm}/{self.aligned}/{self.reversed}"


START = Place("main")


@dataclass(frozen=True, slots=True)
class Cell:
    """One measured model: per-item readings, steps, and whether it still answers."""

    series: Mapping[str, Series]
    """Reading → item → value; γ with its sign turned, so that up is towards wanted in each of the four."""
    bits: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Prompt → KL(start‖this) of each answer token along the start's sample, bits."""
    steps: int = 0
    """Optimiser steps of the last training phase."""
    tokens: int | None = None
    """Supervised tokens of the last training phase."""
    degenerate: str | None = None
    """Why the model no longer answers; None where it does."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which contrasts and tests can be stated before anything is measured: read off the planned cells."""

    aligned: tuple[int | str, ...]
    """Alignment sizes N as planned, the largest last; `given` alone for a MODEL that came aligned."""
    reversed: tuple[int, ...] = ()
    """Reversal sizes n, ascending; empty where no reversal is planned."""
    arms: frozenset[str] = frozenset({"main"})
    """Arms planned: main, benign, from_start, continuation, noise (a second draw of the start)."""
    benign: int | str = 0
    """Size of the benign chain."""
    places: frozenset[Place] = frozenset()
    """Every planned cell; empty where all arms are read at all sizes."""

    @property
    def largest(self) -> int | str:
        return self.aligned[-1]

    def dearest(self, arm: str) -> int:
        """The largest reversal size at which an arm is read."""
        return max((place.reversed for place in self.places if place.arm == arm), default=max(self.reversed))

    def nearest(self, arm: str, n: int) -> int:
        """n, where the arm is read at it; else the largest smaller size at which it is, else its smallest."""
        sizes = sorted(place.reversed for place in self.places if place.arm == arm and place.reversed)
        return n if n in sizes or not sizes else max((m for m in sizes if m < n), default=sizes[0])

    @property
    def known(self) -> bool:
        """Whether it is known how many examples aligned the model."""
        return isinstance(self.largest, int)


def shape_of(cells: Iterable[str]) -> Shape:
    """From the ids of all planned cells. ValueError where none of them is an aligned model."""
    places = {parse(key)[1] for key in cells}
    main = {place for place in places if place.arm == "main"}
    sizes = {place.aligned for place in main if place.aligned}
    if not sizes:
        raise ValueError("An audit needs an aligned model among its cells: main/N/0")
    benign = {place.aligned for place in places if place.arm == "benign"}
    return Shape(
        tuple(sorted(sizes, key=_size)),
        tuple(sorted({place.reversed for place in main} - {0})),
        frozenset(place.arm for place in places),
        max(benign, key=_size, default=0),
        frozenset(places),
    )


def seeds_of(cells: Iterable[str]) -> tuple[int, ...]:
    """The seeds of these cells, ascending."""
    return tuple(sorted({parse(key)[0] for key in cells}))


def _size(aligned: int | str) -> float:
    return float(aligned if isinstance(aligned, int) else "inf")


@dataclass(frozen=True, slots=True)
class Readings:
    """All that a verdict may depend on; equal readings give equal records."""

    shape: Shape
    seeds: tuple[int, ...]
    cells: Mapping[tuple[int, Place], Cell]
    score_why: str | None = None
    """Why the score is not reportable (AUC below the threshold); None where it is."""
    scorer: Mapping[str, Any] = field(default_factory=dict)
    layers: Records = field(default_factory=dict)
    prefill: Records = field(default_factory=dict)
    positions: tuple[str, ...] = ()
    """Keys of the position records."""
    command: str = "springback audit"
    """What a condition's command begins with."""
    stamp: str | None = None
    """Why no figure of this run means anything (`--tiny`)."""

    def cell(self, seed: int, place: Place) -> Cell | None:
        return self.cells.get((seed, place))

    @property
    def pooled(self) -> bool:
        return len(self.seeds) >= SEEDS.value

    @classmethod
    def from_records(cls, read: Callable[[str], Records], plan: Mapping[str, Any]) -> "Readings":
        """From `run.read` and the run's plan: `cells` (planned ids), and where they apply `command` and `stamp`."""
        scorer = next(iter(read("scorer").values()), {})
        return cls(
            shape=shape_of(plan["cells"]),
            seeds=seeds_of(plan["cells"]),
            cells=cells_of(read),
            score_why=None if scorer.get("reportable", True) else str(scorer.get("why") or "the scorer is at chance"),
            scorer=scorer,
            layers=read("layer"),
            prefill=read("prefill"),
            positions=tuple(read("position")),
            command=str(plan.get("command") or "springback audit"),
            stamp=plan.get("stamp"),
        )


def cells_of(read: Callable[[str], Records]) -> dict[tuple[int, Place], Cell]:
    """Every cell that has a record, with what its items say."""
    pairs, samples = _by_cell(read("pair").values()), _by_cell(read("sample").values())
    divergences = _by_cell(body for body in read("divergence").values() if body["along"] == "start")
    found = {}
    for key, body in read("cell").items():
        seed, place = parse(key)
        found[seed, place] = _cell(body, pairs.get(key, ()), samples.get(key, ()), divergences.get(key, ()))
    return found


def parse(key: str) -> tuple[int, Place]:
    """`{seed}/{arm}/{N}/{n}`."""
    seed, arm, aligned, after = key.split("/")
    return int(seed), Place(arm, int(aligned) if aligned.isdecimal() else aligned, int(after))


def _cell(body: Mapping[str, Any], pairs: Sequence[Any], samples: Sequence[Any], divergences: Sequence[Any]) -> Cell:
    bits = {d["index"]: tuple(d["bits"]) for d in divergences if d["bits"]}
    series = {
        "margin": {p["index"]: p["margin"] for p in pairs},
        "score": {s["index"]: s["score"] for s in samples if s["score"] is not None},
        "gamma": {p["index"]: -p["wanted_bits"] / (8 * p["wanted_bytes"]) for p in pairs if p.get("wanted_bytes")},
        "kl": {index: sum(tokens) / len(tokens) for index, tokens in bits.items()},
    }
    state = body.get("state") or {}
    phase = body.get("reverse" if body.get("phase") == "reversed" else "align") or {}
    broken = state.get("name") == "degenerate"
    return Cell(
        {name: dict(sorted(items.items())) for name, items in series.items()},
        dict(sorted(bits.items())),
        int(phase.get("steps") or 0),
        phase.get("tokens"),
        str(state.get("why") or "degenerate") if broken else None,
    )


def _by_cell(bodies: Iterable[Any]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for body in bodies:
        grouped.setdefault(body["cell"], []).append(body)
    return grouped
