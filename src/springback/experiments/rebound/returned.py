"""What comes back in one sweep, and at what price: definition 3.6 and section 5.2 of Ji et al. 2024 (arXiv 2406.06144).

Return within ε, overshoot, half-life; behaviour beside distribution. From stored records alone, at the largest N of the
main arm unless said otherwise.
"""

from typing import Any

import numpy as np

from springback.elasticity import half_life, rebound
from springback.experiments.rebound.readings import Swept
from springback.stats.measured import Measured, unmeasured
from springback.stats.rank import spearman

Body = dict[str, Any]


def returned(swept: Swept, tolerance: float) -> Body:
    """Closest return in KL(start‖θ), whether it is within ε, and what it cost beside what aligning cost.

    `first_within`: the fewest reversed examples read at which the interval lies within ε; None where it never does.
    `reached` is None, with `why`, where the interval holds ε or the aligned model is not clear of ε itself.
    """
    levels = {n: swept.measured("kl_from_start", "main", swept.largest, n) for n in swept.sizes("main", swept.largest)}
    known = {n: kl.estimate for n, kl in levels.items() if kl.estimate is not None}
    if 0 not in known or len(known) < 2:
        none = unmeasured("KL to the start was not read at the aligned and a reversed model").json()
        return {"kl": none, "aligned_kl": none, **_spent(swept, None), "tolerance": tolerance, "reached": None,
                "why": none["why"], "first_within": None, "of_alignment": None}  # fmt: skip
    closest = rebound.closest_return(known[0], {n: kl for n, kl in known.items() if n}).examples
    reached, why = _reached(levels[0], levels[closest], tolerance)
    back = next((n for n in known if n and within(levels[n], tolerance)), None) if reached else None
    spent, behind = _spent(swept, closest), swept.spent("align", "main", swept.largest, closest)
    return {
        "kl": levels[closest].json(), "aligned_kl": levels[0].json(), **spent, "tolerance": tolerance,
        "reached": reached, "why": why, "first_within": None if back is None else _spent(swept, back),
        "of_alignment": {name: _share(count, behind[name]) for name, count in spent.items()},
    }  # fmt: skip


def _reached(aligned: Measured, closest: Measured, tolerance: float) -> tuple[bool | None, str | None]:
    """Whether the closest point is within ε, and why that cannot be told."""
    if within(aligned, tolerance) is not False:
        return None, "the aligned model is not clear of ε itself, so there is nothing to come back from"
    found = within(closest, tolerance)
    return found, "the interval of the closest point holds ε" if found is None else None


def _spent(swept: Swept, n: int | None) -> dict[str, int | None]:
    """Examples, tokens and steps of the reversal to n; all None where there is no such point."""
    names = ("examples", "tokens", "steps")
    if n is None:
        return dict.fromkeys(names)
    found = swept.spent("reverse", "main", swept.largest, n) if n else dict.fromkeys(names, 0)
    return {name: found[name] for name in names}


def within(kl: Measured, tolerance: float) -> bool | None:
    """Whether a distance lies within ε; None where its interval holds ε."""
    if kl.high is not None and kl.high <= tolerance:
        return True
    return False if kl.low is not None and kl.low > tolerance else None


def overshot(swept: Swept, reading: str) -> Measured:
    """How far past the start the largest reversal went, as a share of the gain: above 0 past it, below 0 not there."""
    n = swept.sizes("main", swept.largest)[-1]
    undone = swept.contrast(reading, "undone", n)
    if undone.estimate is None:
        return undone
    ends = [None if end is None else end - 1 for end in (undone.estimate, undone.low, undone.high)]
    return Measured(ends[0], ends[1], ends[2], undone.level, undone.n, undone.over, "share of the gain", undone.why)


def left(swept: Swept) -> tuple[tuple[int, ...], np.ndarray]:
    """Reversal sizes, and what is left of each pair's gain in margin there [size, pair], mean of the seeds."""
    sizes = swept.sizes("main", swept.largest)
    start = swept.margins("main", 0, 0)
    return sizes, np.array([(swept.margins("main", swept.largest, n) - start).mean(axis=0) for n in sizes])


def price(swept: Swept) -> Measured:
    """Reversed examples until half of the gain in margin is gone, interpolated between the sizes read."""
    sizes, remaining = left(swept)
    if len(sizes) < 2:
        return unmeasured("no reversal was read")
    if remaining.shape[1] < 2:
        return unmeasured("fewer than two pairs")
    return half_life.until(sizes, remaining, over="pairs", unit="examples")


def agreement(swept: Swept, tolerance: float) -> Body:
    """Whether behaviour and distribution tell one story over the cells, and where they do not."""
    cells = [cell for key, cell in swept.cells.items() if "/noise/" not in key and cell["phase"] != "start"]
    series = {name: [_estimate(cell, name) for cell in cells] for name in ("score", "margin", "kl", "gamma")}
    found = {f"{a}_{b}": _rank(series[a], series[b]).json() for a, b in (("score", "kl"), ("margin", "kl"),
             ("gamma", "kl"), ("score", "margin"))}  # fmt: skip
    apart = [cell["id"] for cell in cells if _apart(swept, cell, tolerance)]
    return {**found, "behaviour_back_distribution_not": apart, "behaviours_apart": len(apart)}


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None


def _estimate(cell: Any, name: str) -> float | None:
    place = {"score": cell["behaviour"]["score"], "margin": cell["behaviour"]["margin"], "kl": cell["kl_from_start"],
             "gamma": cell["gamma"]["aligned"]["micro"]}  # fmt: skip
    return place[name]["estimate"]


def _rank(first: list[float | None], second: list[float | None]) -> Measured:
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if len(both) < 5:
        return unmeasured(f"{len(both)} cells: a rank correlation needs at least 5")
    return spearman([a for a, _ in both], [b for _, b in both], over="cells")


def _apart(swept: Swept, cell: Any, tolerance: float) -> bool:
    """Whether an aligned model's score is back within the start's interval while its KL is clear of ε."""
    start = swept.cell(cell["seed"], "main", 0, 0)
    if start is None or cell["phase"] != "reversed" or cell["arm"] != "main":
        return False
    score, at_start = (Measured.of(one["behaviour"]["score"]) for one in (cell, start))
    if score.estimate is None or at_start.low is None or at_start.high is None:
        return False
    kl = Measured.of(cell["kl_from_start"])
    return at_start.low <= score.estimate <= at_start.high and kl.low is not None and kl.low > tolerance
