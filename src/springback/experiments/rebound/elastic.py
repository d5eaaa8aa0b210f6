"""What one sweep says of elasticity: stiffness, interference, return, overshoot, price; behaviour beside distribution.

From stored records alone, at the largest N of the main arm unless said otherwise. Ji et al. 2024 (arXiv 2406.06144):
theorem 4.2 (stiffness, interference), definition 3.6 (return within ε), section 5.2 (rebound).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from springback.elasticity import half_life, interference, rebound, stiffness
from springback.experiments.rebound.readings import Swept
from springback.stats.measured import Measured, unmeasured
from springback.stats.rank import spearman

Body = dict[str, Any]
TEXT_BITS = 8.0


def stiff(swept: Swept) -> Body:
    """R = −S_a / S_p over the first reversal sizes, beside k by tokens; neutral texts stand for pretraining text."""
    k = _k(swept)
    sizes = swept.sizes("main", swept.largest)
    if len(sizes) < 3:
        why = unmeasured(f"a slope at 0 needs the aligned model and two reversal sizes; read at {list(sizes)}").json()
        return {"R": why, "k": k, "S_a": why, "S_p": why}
    found = stiffness.stiffness(
        _rates(swept, "pair", "wanted_bits", "wanted_bytes", sizes), _rates(swept, "document", "bits", "bytes", sizes),
        stiffness.line(sizes), k=0.0,
    )  # fmt: skip
    return {**found.json(), "k": k}


def interfering(swept: Swept, body: Body) -> Iterator[tuple[str, Body]]:
    """By seed: c₂ and c₃ from the reversal of the start, the sign they predict for S_a, and the sign of S_a itself."""
    sizes = [n for n in swept.sizes("from_start", 0) if n]
    if not sizes:
        why = unmeasured("the reversal from the start was not read (`--arms all` or `needed`)").json()
        yield "none", {"c2": {"c": why}, "predicted": "not_reportable", "happened": _sign(body), "agrees": None}
        return
    for row, seed in enumerate(swept.seeds):
        c2, c3 = (_coefficient(swept, side, sizes[-1], row) for side in ("wanted", "opposite"))
        told = interference.predicted(c2)
        happened = _sign(body)
        known = told in ("hurts", "helps") and happened in ("hurts", "helps")
        yield str(seed), {
            "seed": seed, "reversed": sizes[-1], "c2": c2.json(), "c3": c3.json(), "l_star": _l_star(c2, c3),
            "predicted": told, "happened": happened, "agrees": told == happened if known else None,
        }  # fmt: skip


def returned(swept: Swept, tolerance: float) -> Body:
    """Closest return in KL(start‖θ) and whether it is within ε; what it cost beside what aligning cost."""
    largest, sizes = swept.largest, swept.sizes("main", swept.largest)
    levels = {n: swept.measured("kl_from_start", "main", largest, n).estimate for n in sizes}
    known = {n: kl for n, kl in levels.items() if kl is not None}
    if 0 not in known or len(known) < 2:
        why = "KL to the start was not read at the aligned and a reversed model"
        return {"kl": unmeasured(why).json(), "examples": None, "tokens": None, "steps": None, "reached": None}
    closest = rebound.closest_return(known[0], {n: kl for n, kl in known.items() if n})
    kl = swept.measured("kl_from_start", "main", largest, closest.examples)
    spent = swept.spent("reverse", "main", largest, closest.examples)
    behind = swept.spent("align", "main", largest, closest.examples)
    return {
        "kl": kl.json(), "aligned_kl": swept.measured("kl_from_start", "main", largest, 0).json(),
        "examples": closest.examples, "tokens": spent["tokens"], "steps": spent["steps"], "tolerance": tolerance,
        "reached": within(kl, tolerance),
        "of_alignment": {name: _share(spent[name], behind[name]) for name in ("examples", "tokens", "steps")},
    }  # fmt: skip


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
    return half_life.until(sizes, remaining, over="pairs", unit="example")


def agreement(swept: Swept, tolerance: float) -> Body:
    """Whether behaviour and distribution tell one story over the cells, and where they do not."""
    cells = [cell for key, cell in swept.cells.items() if "/noise/" not in key and cell["phase"] != "start"]
    series = {name: [_estimate(cell, name) for cell in cells] for name in ("score", "margin", "kl", "gamma")}
    found = {f"{a}_{b}": _rank(series[a], series[b]).json() for a, b in (("score", "kl"), ("margin", "kl"),
             ("gamma", "kl"), ("score", "margin"))}  # fmt: skip
    return {
        **found,
        "behaviour_back_distribution_not": [cell["id"] for cell in cells if _apart(swept, cell, tolerance)],
    }


def _rates(swept: Swept, kind: str, bits: str, size: str, sizes: tuple[int, ...]) -> stiffness.Rates:
    values = [swept.items(kind, bits, "main", swept.largest, n) for n in sizes]
    return stiffness.Rates(
        np.stack(values, axis=1).astype(np.float64),
        TEXT_BITS * swept.items(kind, size, "main", swept.largest, sizes[0])[0].astype(np.float64),
    )


def _coefficient(swept: Swept, side: str, n: int, row: int) -> interference.Coefficient:
    tuned, start = (-math.log(2) * swept.items("pair", f"{side}_bits", arm, 0, m)[row]
                    for arm, m in (("from_start", n), ("main", 0)))  # fmt: skip
    tokens = swept.items("pair", f"{side}_tokens", "main", 0, 0)[row].astype(np.float64)
    return interference.coefficient(tuned, start, tokens)


def _l_star(c2: interference.Coefficient, c3: interference.Coefficient) -> float | None:
    """(1 − c₂)/(c₃ − 1), the reversal's share of the alignment at which theorem 4.2's signs turn."""
    if c2.c.estimate is None or c3.c.estimate is None or c3.c.estimate <= 1 or c2.c.estimate >= 1:
        return None
    return (1 - c2.c.estimate) / (c3.c.estimate - 1)


def _sign(body: Body) -> str:
    """What the reversal did to γ of the wanted text: hurts, helps or undecided."""
    s_a = Measured.of(body["S_a"])
    if s_a.estimate is None or not s_a.excludes(0.0):
        return "undecided"
    return "hurts" if s_a.estimate > 0 else "helps"


def _k(swept: Swept) -> Body:
    """Pretraining tokens / alignment tokens: counted, not measured."""
    tokens, known = swept.spent("align", "main", swept.largest, 0)["tokens"], swept.sweep.pretraining_tokens
    if known is None or not tokens:
        why = "nobody said how many tokens the model was pretrained on (`--pretraining-tokens`)"
        return {"estimate": None, "why": why if known is None else "nobody knows how many tokens aligned the model"}
    return {"estimate": known / tokens, "unit": "tokens / tokens", "why": "counted"}


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
    """Whether the score is within the start's interval while KL is clear of ε."""
    start = swept.cell(cell["seed"], "main", 0, 0)
    if start is None or cell["phase"] != "reversed":
        return False
    score, at_start = (Measured.of(one["behaviour"]["score"]) for one in (cell, start))
    if score.estimate is None or at_start.low is None or at_start.high is None:
        return False
    kl = Measured.of(cell["kl_from_start"])
    return at_start.low <= score.estimate <= at_start.high and kl.low is not None and kl.low > tolerance
