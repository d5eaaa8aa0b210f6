"""A planted spring: the stored records of a sweep whose law is known, made without a model."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from springback.experiments.audit.analyse import analyse
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import Grid, Point, grid
from springback.experiments.audit.readings import Readings
from springback.experiments.rebound.config import Sweep
from springback.experiments.rebound.readings import Swept
from springback.stats.measured import mean, ratio_of_sums, unmeasured

Records = dict[str, dict[str, dict[str, Any]]]
BACK = {8: 0.25, 16: 0.6, 32: 0.9, 64: 1.2}
"""Share of the gain that is undone: half of it after 8 + 8 · 0.25 / 0.35 examples, 0.2 past the start at the end."""
KL = {0: 0.5, 8: 0.3, 16: 0.12, 32: 0.05, 64: 0.2}


@dataclass(frozen=True, kw_only=True)
class Spring:
    """The law, at the largest N; smaller N gain 0.6 of it. Gains in bit/bit, slopes in bit/bit per example."""

    gain: float = 0.02
    back: dict[int, float] = field(default_factory=lambda: dict(BACK))
    kl: dict[int, float] = field(default_factory=lambda: dict(KL))
    s_a: float = 4e-4
    s_p: float = -1e-4
    c2: float = 0.6
    c3: float = 2.0
    noise: float = 0.02
    seed_noise: float = 0.0
    scored: bool = True
    degenerate: tuple[Point, ...] = ()
    audit: Audit = field(default_factory=lambda: Audit(
        align_sizes=(64, 256), reverse_sizes=(8, 16, 32, 64), pairs=72, samples=48, neutral=24, arms="all",
        layers="none", forced_tokens=(0,)))  # fmt: skip
    draw: int = 0

    @property
    def half_life(self) -> float:
        """Reversed examples until half is undone, on straight lines between the sizes."""
        at = [(0, 0.0), *self.back.items()]
        low, high = next((a, b) for a, b in pairwise(at) if a[1] < 0.5 <= b[1])
        return low[0] + (0.5 - low[1]) / (high[1] - low[1]) * (high[0] - low[0])

    def margin(self, point: Point) -> float:
        """Of a cell, above the start's."""
        largest = self.audit.align_sizes[-1]
        whole = {"main": self.gain, "continuation": self.gain}.get(point.arm, 0.0)
        if point.aligned != largest:
            whole *= 0.6 if point.aligned else 0.0
        back = self.back.get(point.reversed, 0.0)
        share = {"main": back, "continuation": 0.1}.get(point.arm, 0.0)
        return whole * (1 - share * bool(point.reversed))

    def distance(self, point: Point) -> float:
        if point.arm == "from_start":
            return 0.02 * point.reversed**0.5
        return self.kl.get(point.reversed, 0.0) if point.aligned else 0.0


@dataclass(frozen=True)
class Planted:
    """The records of one sweep that follows a law."""

    law: Spring

    @cached_property
    def grid(self) -> Grid:
        return grid(self.law.audit)

    @cached_property
    def measured(self) -> Records:
        """What a laboratory stores: cells and their items."""
        found: Records = {"scorer": {"scorer": self._scorer()}}
        base = np.random.default_rng([self.law.draw, 77])
        items = _Items.drawn(self.law.audit, base)
        for index, point in enumerate(self.grid.points()):
            noise = np.random.default_rng([self.law.draw, index])
            own = np.random.default_rng([self.law.draw, point.seed, 5]).normal(0, self.law.seed_noise, 3)
            _store(found, self.law, point, items, noise, own)
        return found

    @cached_property
    def analysed(self) -> Records:
        """With what the audit makes of them: contrasts, tests, axes, verdict."""
        found = {kind: dict(bodies) for kind, bodies in self.measured.items()}
        plan = {"cells": [point.id for point in self.grid.points()]}
        for kind, key, body in analyse(Readings.from_records(lambda kind: self.measured.get(kind, {}), plan)):
            found.setdefault(kind, {})[key] = body
        return found

    def read(self, kind: str) -> dict[str, dict[str, Any]]:
        told = self.analysed if kind in ("contrast", "test", "axis", "verdict") else self.measured
        return told.get(kind, {})

    def swept(self, name: str = "00", tokens: float | None = None, **varied: Any) -> Swept:
        return Swept(Sweep(name, varied, replace(self.law.audit, **_own(varied)), tokens), self.read)

    def _scorer(self) -> dict[str, Any]:
        why = None if self.law.scored else "AUC 0.51: it cannot tell wanted from opposite"
        return {"name": "planted", "reportable": self.law.scored, "why": why, "accuracy": 0.9, "auc": 0.95}


def swept(name: str = "00", tokens: float | None = None, varied: dict[str, Any] | None = None, **law: Any) -> Swept:
    """A sweep that follows `Spring(**law)`."""
    return Planted(Spring(**law)).swept(name, tokens, **(varied or {}))


def _own(varied: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in varied.items() if name in ("model", "align_mix", "reverse_with")}


@dataclass(frozen=True)
class _Items:
    margins: np.ndarray
    gammas: np.ndarray
    neutral: np.ndarray
    bytes: np.ndarray
    neutral_bytes: np.ndarray
    scores: np.ndarray

    @classmethod
    def drawn(cls, audit: Audit, base: np.random.Generator) -> "_Items":
        return cls(
            base.normal(0.0, 0.03, audit.pairs), base.uniform(0.2, 0.5, audit.pairs),
            base.uniform(0.1, 0.3, audit.neutral), base.integers(20, 80, audit.pairs),
            base.integers(60, 200, audit.neutral), base.uniform(0.1, 0.6, audit.samples),
        )  # fmt: skip


def _store(found: Records, law: Spring, point: Point, items: _Items, noise: np.random.Generator, own: np.ndarray):
    start = not point.aligned and not point.reversed
    spread = 0.0 if start else law.noise
    margins = items.margins + law.margin(point) + (0 if start else own[0]) + noise.normal(0, spread, items.margins.size)
    wanted, opposite = _bits(law, point, items, noise, own)
    drift = 0 if start else law.s_p * point.reversed + noise.normal(0, 0.02 * law.noise, items.neutral.size)
    neutral = 8 * items.neutral_bytes * (items.neutral + drift)
    scores = np.clip(items.scores + 12 * law.margin(point) + noise.normal(0, 0.1, items.scores.size), 0, 1)
    away = law.distance(point) * (1 + own[2]) * noise.uniform(0.5, 1.5, (items.scores.size, 1)).repeat(10, axis=1)
    _items(found, "pair", point, [
        {"wanted_bits": w, "opposite_bits": o, "wanted_bytes": int(b), "opposite_bytes": int(b),
         "wanted_tokens": int(b) // 4, "opposite_tokens": int(b) // 4, "margin": m}
        for w, o, b, m in zip(wanted.tolist(), opposite.tolist(), items.bytes, margins.tolist(), strict=True)
    ])  # fmt: skip
    _items(
        found,
        "document",
        point,
        [{"bits": bits, "bytes": int(b)} for bits, b in zip(neutral.tolist(), items.neutral_bytes, strict=True)],
    )
    _items(found, "sample", point, [{"score": s if law.scored else None} for s in scores.tolist()])
    _items(found, "divergence", point, [{"along": "start", "bits": bits} for bits in away.tolist()])
    score = mean(scores, over="prompts", unit="probability of wanted") if law.scored else unmeasured("scorer at chance")
    rate = ratio_of_sums(wanted, 8 * items.bytes, over="pairs", unit="bit/bit").json()
    kl = ratio_of_sums(away.sum(1), [10] * len(away), over="prompts", unit="bit/token").json()
    found.setdefault("cell", {})[point.id] = {
        "id": point.id, "seed": point.seed, "arm": point.arm, "phase": point.phase, "label": point.id,
        "align": _spent(point.aligned), "reverse": _spent(point.reversed),
        "state": {"name": "degenerate", "why": "one word"} if point in law.degenerate else {"name": "fine"},
        "behaviour": {"score": score.json(), "margin": mean(margins, over="pairs", unit="bit/bit").json()},
        "gamma": {side: {"micro": rate} for side in ("aligned", "reversed", "neutral")},
        "kl_from_start": kl, "kl_to_start": kl, "quality": {}, "cost": {"seconds": 1.0},
    }  # fmt: skip


def _bits(law: Spring, point: Point, items: _Items, noise: np.random.Generator, own: np.ndarray):
    """Of wanted and opposite answers: a line along a reversal, ratios with means c₂ and c₃ from the start."""
    text, n = 8 * items.bytes, items.margins.size
    if point.arm == "from_start":
        return tuple(text * items.gammas - _ratios(c, noise, n) / math.log(2) for c in (law.c2, law.c3))
    moved = point.aligned or point.reversed
    above = law.s_a * point.reversed + (own[1] + noise.normal(0, 0.02 * law.noise, n) if moved else 0)
    return text * (items.gammas + above), text * items.gammas


def _ratios(c: float, noise: np.random.Generator, n: int) -> np.ndarray:
    """Log ratios, nats, whose exponential has mean c."""
    return math.log(c) - 0.3**2 / 2 + 0.3 * noise.normal(size=n)


def _items(found: Records, kind: str, point: Point, bodies: list[dict[str, Any]]) -> None:
    for index, body in enumerate(bodies):
        found.setdefault(kind, {})[f"{point.id}/{index}"] = {"cell": point.id, "index": index, **body}


def _spent(size: int | str) -> dict[str, Any]:
    return {"examples": size, "tokens": 20 * int(size), "steps": int(size) // 8}
