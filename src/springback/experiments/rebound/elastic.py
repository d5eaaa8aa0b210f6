"""What one sweep says of theorem 4.2 of Ji et al. 2024 (arXiv 2406.06144): stiffness and interference.

From stored records alone, at the largest N of the main arm. What comes back, and at what price: `returned.py`.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from springback.elasticity import interference, stiffness
from springback.experiments.rebound.readings import Swept
from springback.stats.measured import Measured, unmeasured

Body = dict[str, Any]
TEXT_BITS = 8.0


def stiff(swept: Swept) -> Body:
    """R = −S_a / S_p over the first reversal sizes, beside k by tokens; neutral texts stand for pretraining text."""
    k = _k(swept)
    sizes = swept.sizes("main", swept.largest)
    if len(sizes) < 3:
        read = ", ".join(map(str, sizes))
        return _no_stiffness(f"a slope at 0 needs the aligned model and two reversal sizes; read at n = {read}", k)
    wanted = _rates(swept, "pair", "wanted_bits", "wanted_bytes", sizes)
    neutral = _rates(swept, "document", "bits", "bytes", sizes)
    if wanted is None or neutral is None:
        which = "wanted answers" if wanted is None else "neutral texts"
        return _no_stiffness(f"fewer than two {which} with text were read", k)
    return {**stiffness.stiffness(wanted, neutral, stiffness.line(sizes), k=0.0).json(), "k": k}


def interfering(swept: Swept, body: Body) -> Iterator[tuple[str, Body]]:
    """By seed: c₂ and c₃ from the reversal of the start, the sign they predict for S_a, and the sign of S_a itself."""
    sizes = [n for n in swept.sizes("from_start", 0) if n]
    if not sizes or swept.margins("main", 0, 0).shape[1] < 2:
        told = (
            "the reversal from the start was not read (`--arms all` or `needed`)"
            if not sizes
            else "fewer than two pairs"
        )
        why = {"c": unmeasured(told).json()}
        yield "none", {"seed": None, "reversed": None, "c2": why, "c3": why, "l_star": None,
                       "predicted": "not_reportable", "happened": _sign(body), "agrees": None}  # fmt: skip
        return
    for row, seed in enumerate(swept.seeds):
        c2, c3 = (_coefficient(swept, side, sizes[0], row) for side in ("wanted", "opposite"))
        told = interference.predicted(c2)
        happened = _sign(body)
        known = told in ("hurts", "helps") and happened in ("hurts", "helps")
        yield str(seed), {
            "seed": seed, "reversed": sizes[0], "c2": c2.json(), "c3": c3.json(), "l_star": _l_star(c2, c3),
            "predicted": told, "happened": happened, "agrees": told == happened if known else None,
        }  # fmt: skip


def _no_stiffness(why: str, k: Body) -> Body:
    none = unmeasured(why).json()
    return {"R": none, "S_a": none, "S_p": none, "k": k}


def _rates(swept: Swept, kind: str, bits: str, size: str, sizes: tuple[int, ...]) -> stiffness.Rates | None:
    """Of the texts that have bytes; None where these are fewer than two."""
    text = TEXT_BITS * swept.items(kind, size, "main", swept.largest, sizes[0])[0]
    if (text > 0).sum() < 2:
        return None
    values = np.stack([swept.items(kind, bits, "main", swept.largest, n) for n in sizes], axis=1)
    return stiffness.Rates(values[:, :, text > 0], text[text > 0])


def _coefficient(swept: Swept, side: str, n: int, row: int) -> interference.Coefficient:
    tuned, start = (-math.log(2) * swept.items("pair", f"{side}_bits", arm, 0, m)[row]
                    for arm, m in (("from_start", n), ("main", 0)))  # fmt: skip
    tokens = swept.items("pair", f"{side}_tokens", "main", 0, 0)[row]
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
