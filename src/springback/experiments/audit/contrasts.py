"""Paired differences between cells, on the same prompts and pairs: the only numbers that a verdict rests on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from springback.experiments.audit.asks import Ask, asks
from springback.experiments.audit.readings import OVER, READINGS, SAYS, UNITS, Place, Readings
from springback.experiments.audit.thresholds import ALPHA, LEVEL, POWER
from springback.experiments.audit.wording import said
from springback.stats.measured import Measured, mean, unmeasured
from springback.stats.paired import over_seeds, ratio_of_means, sign_flip, smallest_detectable, student_p

NO_GAIN = "the gain over the start is not clear of 0"
"""Why half of it cannot be undone: without a gain any fall at all would be "at least half"."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A contrast as measured on one seed, or over seeds (`seed` is then "all")."""

    ask: Ask
    reading: str
    seed: int | str
    value: Measured
    p: float | None = None
    smallest_detectable: float | None = None
    differences: tuple[float, ...] = ()
    steps: int = 0
    """Optimiser steps of the reversal."""

    @property
    def name(self) -> str:
        return f"{self.reading}/{self.ask.short}/{self.seed}"

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "reading": self.reading,
            "kind": self.ask.kind,
            "arm": self.ask.arm,
            "against": self.ask.against,
            "seed": self.seed,
            "N": self.ask.aligned,
            "n": self.ask.reversed,
            "steps": self.steps,
            "value": self.value.json(),
            "smallest_detectable": self.smallest_detectable,
            "p": self.p,
            "says": SAYS[self.reading],
        }


def contrasts(readings: Readings) -> dict[str, Contrast]:
    """Every contrast of these readings by name: each seed, then over seeds where there are at least three."""
    found: dict[str, Contrast] = {}
    for reading in READINGS:
        for ask in asks(readings):
            per_seed = [take(readings, reading, ask, seed) for seed in readings.seeds]
            pooled = [_over_seeds(per_seed)] if readings.pooled else []
            found.update({one.name: one for one in (*per_seed, *pooled)})
    return found


def take(readings: Readings, reading: str, ask: Ask, seed: int) -> Contrast:
    """One contrast on one seed; unmeasured, with the reason, where a cell is missing or may not be read."""
    blank = Contrast(ask, reading, seed, unmeasured(_missing(readings, reading, ask, seed) or "unknown"))
    if _missing(readings, reading, ask, seed):
        return blank
    series = [readings.cells[seed, place].series[reading] for place in ask.cells]
    shared = sorted(set.intersection(*(set(one) for one in series)))
    made = ask.formula(*(np.array([one[i] for i in shared]) for one in series)) if len(shared) > 1 else None
    if made is None:
        return Contrast(ask, reading, seed, unmeasured(f"{len(shared)} {OVER[reading]} are read at all of its cells"))
    steps = readings.cells[seed, ask.cells[-1]].steps if ask.reversed else 0
    if isinstance(made, tuple):
        share = ratio_of_means(*made, over=OVER[reading], unit=ask.unit or "share", level=LEVEL.value)
        return Contrast(ask, reading, seed, share, steps=steps)
    if ask.kind == "half_undone" and (why := _no_gain(readings, reading, ask, seed)):
        return Contrast(ask, reading, seed, unmeasured(why), steps=steps)
    value = mean(made, over=OVER[reading], unit=ask.unit or UNITS[reading], level=LEVEL.value)
    seen = smallest_detectable(made, alpha=ALPHA.value, power=POWER.value)
    return Contrast(ask, reading, seed, value, sign_flip(made), seen, tuple(made.tolist()), steps)


def _no_gain(readings: Readings, reading: str, ask: Ask, seed: int) -> str | None:
    """Why there is no gain to be undone; None where its interval lies above 0."""
    start, aligned = (readings.cells[seed, place].series[reading] for place in ask.cells[:2])
    gains = [aligned[i] - start[i] for i in start if i in aligned]
    gained = mean(gains, over=OVER[reading], unit=UNITS[reading], level=LEVEL.value)
    return None if gained.low is not None and gained.low > 0 else f"{NO_GAIN}: {said(gained, signed=True)}"


def _missing(readings: Readings, reading: str, ask: Ask, seed: int) -> str | None:
    """Why this contrast may not be read; None where it may."""
    if reading == "score" and readings.score_why:
        return f"the score is not reportable: {readings.score_why}"
    for place in ask.cells:
        cell = readings.cell(seed, place)
        if cell is None or not cell.series.get(reading):
            return f"{place.id(seed)} was not measured"
        if reading == "score" and cell.degenerate:
            return f"{place.id(seed)} is degenerate: {cell.degenerate}"
    return None


def _over_seeds(per_seed: Sequence[Contrast]) -> Contrast:
    """Over seeds: mean of the seeds' means with Student's interval, p and detectable difference of the same test."""
    first = per_seed[0]
    values = [one.value.estimate for one in per_seed if one.value.estimate is not None]
    if len(values) < len(per_seed):
        why = next(one.value.why for one in per_seed if one.value.estimate is None)
        return Contrast(first.ask, first.reading, "all", unmeasured(f"not measured on every seed: {why}"))
    value = over_seeds(values, unit=first.value.unit, level=LEVEL.value)
    if first.p is None:
        return Contrast(first.ask, first.reading, "all", value, steps=first.steps)
    p = student_p(values)
    seen = smallest_detectable(values, alpha=ALPHA.value, power=POWER.value)
    return Contrast(first.ask, first.reading, "all", value, p if math.isfinite(p) else None, seen, steps=first.steps)


def of(found: Mapping[str, Contrast], reading: str, kind: str, place: Place, seed: int | str) -> Contrast | None:
    """One contrast by what it is; `place.arm` is the contrast's arm."""
    return found.get(f"{reading}/{kind}/{place.arm}/{place.aligned}/{place.reversed}/{seed}")
