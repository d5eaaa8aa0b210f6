"""From stored pairs to what holds over all of them: shares, layers, scores against outcomes. Torch-free."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from springback.experiments.entangle.agreement import share
from springback.experiments.entangle.rules import NUMBERS, number_of
from springback.stats.measured import mean, unmeasured
from springback.stats.rank import spearman

Bodies = Sequence[Mapping[str, Any]]
SCORES: Final = ("ches", "ches_by_length", "hidden_cosine", "edit_distance", "length_difference", "cosine", "relative")
"""Cheap scores first, then those made of gradients."""
OUTCOMES: Final = {
    "own_chosen": "chosen answer, own pair alone",
    "batch_chosen": "chosen answer, whole batch",
    "measured_chosen": "chosen answer, measured",
}
"""Changes that a score should predict: the higher the score, the lower the change."""


def movable(pairs: Bodies) -> list[Mapping[str, Any]]:
    """Pairs whose answers are not the same tokens."""
    return [pair for pair in pairs if pair["condition"] != "cannot_move"]


def shares(pairs: Bodies) -> dict[str, Any]:
    """Shares of pairs with Wilson intervals: by the pair alone, and by the whole batch."""
    able = movable(pairs)
    own = {"chosen_falls": lambda p: p["chosen_change"] < 0, "rejected_rises": lambda p: p["rejected_change"] > 0,
           "margin_shrinks": lambda p: p["margin_change"] < 0}  # fmt: skip
    batch: dict[str, Callable[[Any], bool]] = {
        "chosen_falls": lambda p: p["in_batch"]["total"]["chosen"] < 0,
        "rejected_rises": lambda p: p["in_batch"]["total"]["rejected"] > 0,
        "margin_shrinks": lambda p: p["in_batch"]["total"]["chosen"] < p["in_batch"]["total"]["rejected"],
    }
    counted = lambda of: share([bool(of(pair)) for pair in able], over="pairs").json()
    cases = {name: share([pair["case"] == name for pair in able], over="pairs").json() for name in ("1", "2", "3")}
    at = ("below", "inside", "above", "undefined")
    return {
        **{name: counted(of) for name, of in own.items()},
        "in_batch": {name: counted(of) for name, of in batch.items()},
        "cases": cases,
        "band": {name: sum(pair["band"]["at"] == name for pair in able) for name in at},
        "cosine": _mean([pair["cosine"] for pair in able], "cosine"),
        "cosine_without_prefix": _mean([pair["without_prefix"]["cosine"] for pair in able], "cosine"),
        "cannot_move": len(pairs) - len(able), "n": len(able),
    }  # fmt: skip


def where(pairs: Bodies, part: str) -> dict[str, dict[str, Any]]:
    """By layer (`layers`) or kind (`kinds`): its part of Σ⟨g_w, g_l⟩ over the pairs, and its own mean cosine."""
    able = movable(pairs)
    names = list(dict.fromkeys(name for pair in able for name in pair[part]))
    whole = sum(pair["wl"] for pair in able)
    return {name: _place([pair[part][name] for pair in able if name in pair[part]], whole) for name in names}


def scored(pairs: Bodies, measured: Mapping[int, float]) -> dict[str, dict[str, Any]]:
    """Rank correlation of every score with each outcome, over the pairs that have both.

    `measured`: change of the chosen answer by pair, where a step was taken on its batch.
    """
    able = movable(pairs)
    outcomes: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        "own_chosen": lambda pair: pair["chosen_change"],
        "batch_chosen": lambda pair: pair["in_batch"]["total"]["chosen"],
        "measured_chosen": lambda pair: measured.get(pair["index"]),
    }
    return {name: {key: _correlation(able, name, of) for key, of in outcomes.items()} for name in SCORES}


def probed(probes: Bodies) -> dict[str, dict[str, Any]]:
    """Of the greedy and the unrelated answer: mean predicted change a token, and the share that falls."""
    found = {}
    for name in ("greedy", "unrelated"):
        there = [body[name] for body in probes if body[name] is not None]
        falls = share([probe["change"] < 0 for probe in there], over="pairs").json()
        found[name] = {"falls": falls, "change": _mean([p["change"] / p["tokens"] for p in there], "nat/token per lr")}
    return found


def _place(parts: Sequence[Sequence[float]], whole: float) -> dict[str, Any]:
    ww, ll, wl = (sum(part[i] for part in parts) for i in range(3))
    cosines = [part[2] / np.sqrt(part[0] * part[1]) for part in parts if part[0] * part[1] > 0]
    return {"share_of_wl": wl / whole if whole else None, "ww": ww, "ll": ll, "wl": wl,
            "cosine": _mean(cosines, "cosine")}  # fmt: skip


def _mean(values: Sequence[float | None], unit: str) -> dict[str, Any]:
    known = [float(value) for value in values if value is not None]
    return mean(known, over="pairs", unit=unit).json() if known else unmeasured("not defined for any pair").json()


def _correlation(pairs: Bodies, name: str, outcome: Callable[[Mapping[str, Any]], float | None]) -> dict[str, Any]:
    assert name in NUMBERS
    both = [(number_of(pair, name), outcome(pair)) for pair in pairs]
    known = [(score, change) for score, change in both if score is not None and change is not None]
    if not known:
        return unmeasured("no step was taken").json()
    return spearman([score for score, _ in known], [change for _, change in known], over="pairs").json()
