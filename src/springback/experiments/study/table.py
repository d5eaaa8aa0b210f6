"""The paper's tables in miniature: one row for each (data, loss, cure). Torch-free.

All tests of all rows are one family, corrected by Holm: chosen and rejected change against 0, margin of a cure against
the same loss without one. The test flips signs over held-out pairs; the claims are a family of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from springback.experiments.study.config import NONE, row_of
from springback.experiments.study.readings import Group, decided, measured, p_of, share, wilson
from springback.stats.holm import holm
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import ratio_of_means

Body = dict[str, Any]
WAYS: Final = {1: "rises", -1: "falls", 0: "undecided"}
COSTS: Final = {1: "gains", -1: "costs", 0: "undecided"}


def rows(groups: Mapping[str, Group], predictions: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Body]]:
    """(key, body) of every row. `predictions`: record `predicted` by its key, data/loss/cure[/seed]."""
    tests = _tests(groups)
    for key, group in groups.items():
        found = {name: tests[f"{key}:{name}"] for name in ("chosen", "rejected", "cost") if f"{key}:{name}" in tests}
        said = [body for body in predictions.values() if row_of(body["data"], body["loss"], body["cure"]) == key]
        yield key, {**_body(group), **_against(group, groups), "tests": found, **_predicted(group, said, found)}


def _tests(groups: Mapping[str, Group]) -> dict[str, Body]:
    """Every test by `row:what`, with its corrected p and what it decides."""
    values = {f"{key}:{side}": group.changes("held_out", side) for key, group in groups.items()
              for side in ("chosen", "rejected")}  # fmt: skip
    for key, group in groups.items():
        plain = groups.get(row_of(group.data, group.loss, NONE))
        if group.cure != NONE and plain is not None and len(plain.points) == len(group.points):
            values[f"{key}:cost"] = group.changes("held_out", "margin") - plain.changes("held_out", "margin")
    raw = {name: p_of(each) for name, each in values.items()}
    corrected = dict(zip(raw, holm(list(raw.values())), strict=True))
    words = {name: COSTS if name.endswith(":cost") else WAYS for name in raw}
    return {
        name: {"p": p, "p_holm": corrected[name], "of": len(raw), "outcome": words[name][decided(values[name],
               corrected[name])]} for name, p in raw.items()
    }  # fmt: skip


def _body(group: Group) -> Body:
    held, after, end = (group.changes(what, "chosen") for what in ("held_out", "first", "train"))
    margin = group.changes("held_out", "margin")
    start = np.array([point["start_margin"] for point in group.points])
    return {
        "data": group.data, "loss": group.loss, "cure": group.cure, "seeds": [p["seed"] for p in group.points],
        **{side: measured(group.changes("held_out", side)).json() for side in ("chosen", "rejected", "margin")},
        "accuracy": share(start + margin > 0).json(), "reward_accuracy": share(margin > 0).json(),
        "chosen_fell": {"held_out": share(held < 0).json(), "first_step": share(after < 0).json(),
                        "train": share(end < 0).json()},
        "rejected_rose": {"held_out": share(group.changes("held_out", "rejected") > 0).json(),
                          "first_step": share(group.changes("first", "rejected") > 0).json()},
        "kl": [point["kl"] for point in group.points],
    }  # fmt: skip


def _against(group: Group, groups: Mapping[str, Group]) -> Body:
    """What the cure costs in margin, on the same held-out pairs and seeds."""
    plain = groups.get(row_of(group.data, group.loss, NONE))
    if group.cure == NONE or plain is None:
        return {"cost": None}
    if len(plain.points) != len(group.points):
        none = unmeasured("not the same seeds with and without the cure").json()
        return {"cost": {"difference": none, "ratio": none}}
    own, other = group.changes("held_out", "margin"), plain.changes("held_out", "margin")
    ratio = ratio_of_means(own.mean(axis=0), other.mean(axis=0), over="pairs", unit="share")
    return {"cost": {"difference": measured(own - other).json(), "ratio": ratio.json()}}


def _predicted(group: Group, said: list[Mapping[str, Any]], tests: Mapping[str, Body]) -> Body:
    """The condition's word on the training pairs, what happened, and whether it came true."""
    if not said or said[0]["why"]:
        why = said[0]["why"] if said else "no diagnosis is stored"
        return {"predicted": {"why": why}, "came_true": "not predicted", "agreement": unmeasured(why).json()}
    falls = float(np.mean([body["chosen_falls"]["estimate"] for body in said]))
    word = "falls" if falls > 0.5 else "rises"
    happened = tests["chosen"]["outcome"]
    true = "undecided" if happened == "undecided" else "yes" if happened == word else "no"
    kept = ("chosen_falls", "rejected_rises", "margin_shrinks", "note")
    return {
        "predicted": {"why": None, "word": word, **{name: said[0][name] for name in kept}},
        "came_true": true, "agreement": _agreement(group, said).json(),
    }  # fmt: skip


def _agreement(group: Group, said: list[Mapping[str, Any]]) -> Measured:
    """Share of pairs of the first batch whose chosen answer moved, by that step, to the side that was predicted."""
    hits: dict[int, list[bool]] = {}
    for place, point in enumerate(group.points):
        body = said[place] if len(said) == len(group.points) else said[0]
        for pair in point["first_batch"]:
            same = np.sign(body["changes"]["chosen"][pair]) == np.sign(point["first"]["chosen"][pair])
            hits.setdefault(pair, []).append(bool(same))
    return wilson([float(np.mean(many)) for many in hits.values()])
