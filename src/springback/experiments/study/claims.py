"""What is claimed of losses, overlap and cures, each with a rule that stands in `run.json` before the first training.

A claim of directions (a value above or below 0 on held-out pairs) holds where every one of its tests decides for it,
fails where any decides against it, and is undecided else. All tests of all claims are one family (Holm); what decides
is told in `readings.decided`. Torch-free.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np

from springback.experiments.study.config import CONTROLLED, NONE, row_of
from springback.experiments.study.readings import Group, Values, decided, measured, p_of, wilson
from springback.stats.holm import holm
from springback.stats.measured import Measured
from springback.stats.unpaired import difference

Body = dict[str, Any]
Bodies = Mapping[str, Mapping[str, Any]]
SAME: Final = 0.95
"""Least share of equal signs after the first step for losses to count as one."""
RULES: Final[Mapping[str, str]] = {
    "one_condition": "Losses of Δ alone push both answers alike, so the condition says the same of them: from the same "
    "seed, after one step, their changes have one sign in at least 95 % of training pairs and answers.",
    "overlap": "Under the first loss without a cure, held-out chosen answers rise where one token differs and fall "
    "where a long suffix is shared.",
    "cosine_with_overlap": "The cosine of both gradients at the start rises with the shared suffix (each interval of a "
    "difference, uncorrected, is above 0).",
    "condition": "The condition, each training pair alone and as if under plain descent, says which way held-out "
    "chosen answers go: share of decided rows in which it came true; holds where Wilson's interval is above ½.",
    "normalised": "Under Adam too, pairwise normalised descent raises held-out chosen and lowers rejected answers.",
    "dpop": "DPOP lifts both: held-out chosen and rejected answers end above those of dpo.",
    "anchor": "An anchor costs margin: the held-out margin is smaller than without it.",
}
"""Name → rule."""


@dataclass(frozen=True, slots=True)
class Test:
    """One direction of a claim."""

    label: str
    values: Values
    """[seed, pair]"""
    sign: int
    """The side that is claimed."""


def claims(
    groups: Mapping[str, Group], diagnoses: Bodies, predictions: Bodies, table: Bodies
) -> Iterator[tuple[str, Body]]:  # fmt: skip
    """(name, body) of every claim, in the order of `RULES`; one that this study cannot test says so."""
    directional = {name: list(made(groups)) for name, made in DIRECTIONS.items()}
    told = _corrected([test for tests in directional.values() for test in tests])
    margin_only = {body["loss"] for body in predictions.values() if body["margin_only"] and body["cure"] == NONE}
    other: dict[str, Callable[[], Body]] = {
        "one_condition": lambda: _one_condition(groups, margin_only),
        "cosine_with_overlap": lambda: _cosine(diagnoses),
        "condition": lambda: _condition(table),
    }
    for name, rule in RULES.items():
        found = other[name]() if name in other else _directional([told[id(test)] for test in directional[name]])
        yield name, {"rule": rule, **found}


def _corrected(tests: Sequence[Test]) -> dict[int, Body]:
    raw = [p_of(test.values) for test in tests]
    return {id(test): _tested(test, p, one, len(raw)) for test, p, one in zip(tests, raw, holm(raw), strict=True)}


def _tested(test: Test, p: float, corrected: float | None, of: int) -> Body:
    way = decided(test.values, corrected) * test.sign
    words = {1: "for", -1: "against", 0: "undecided"}
    return {"label": test.label, "claimed": "above 0" if test.sign > 0 else "below 0", "of": of,
            **measured(test.values).json(), "p": p, "p_holm": corrected, "outcome": words[way]}  # fmt: skip


def _directional(tests: list[Body]) -> Body:
    ways = [test["outcome"] for test in tests]
    if not ways:
        return {"outcome": "not_tested", "tests": [], "sentence": "Not tested: this study has no such rows."}
    outcome = "holds" if set(ways) == {"for"} else "fails" if "against" in ways else "undecided"
    counted = ", ".join(f"{ways.count(word)} {told}" for word, told in (("for", "for it"), ("against", "against it"),
                        ("undecided", "undecided")))  # fmt: skip
    return {"outcome": outcome, "tests": tests, "sentence": f"{WORDS[outcome]}: of {len(ways)} tests {counted}."}


WORDS: Final = {"holds": "Holds", "fails": "Fails", "undecided": "Undecided", "not_tested": "Not tested"}


def _overlap(groups: Mapping[str, Group]) -> Iterator[Test]:
    first = _first(groups)
    for data, sign in (("one_token", 1), ("long_suffix", -1)):
        group = groups.get(row_of(data, first, NONE))
        if group is not None and {row_of(d, first, NONE) for d in ("one_token", "long_suffix")} <= groups.keys():
            yield Test(f"{data}: chosen", group.changes("held_out", "chosen"), sign)


def _normalised(groups: Mapping[str, Group]) -> Iterator[Test]:
    for group in groups.values():
        if group.cure.partition(":")[0] == "normalised":
            for side, sign in (("chosen", 1), ("rejected", -1)):
                yield Test(f"{group.key}: {side}", group.changes("held_out", side), sign)


def _dpop(groups: Mapping[str, Group]) -> Iterator[Test]:
    for group in groups.values():
        plain = groups.get(row_of(group.data, "dpo", NONE))
        if group.loss.partition(":")[0] == "dpop" and group.cure == NONE and _paired(group, plain):
            for side in ("chosen", "rejected"):
                yield Test(f"{group.data}: {side}", _less(group, plain, side), 1)


def _anchor(groups: Mapping[str, Group]) -> Iterator[Test]:
    for group in groups.values():
        plain = groups.get(row_of(group.data, group.loss, NONE))
        if group.cure.partition(":")[0] == "anchor" and _paired(group, plain):
            yield Test(f"{group.key}: margin", _less(group, plain, "margin"), -1)


DIRECTIONS: Final[Mapping[str, Callable[[Mapping[str, Group]], Iterator[Test]]]] = {
    "overlap": _overlap, "normalised": _normalised, "dpop": _dpop, "anchor": _anchor,
}  # fmt: skip


def _one_condition(groups: Mapping[str, Group], margin_only: set[str]) -> Body:
    """Shares of equal signs after the first step, each pair of losses of Δ alone on each data set."""
    plain = [group for group in groups.values() if group.cure == NONE]
    found, beside = [], []
    for one, other in combinations(plain, 2):
        if one.data == other.data and _paired(one, other):
            both = {one.loss, other.loss} <= margin_only
            (found if both else beside).append({"label": f"{one.data}: {one.loss}, {other.loss}", **_same(one, other)})
    if not found:
        return {"outcome": "not_tested", "tests": [], "beside": beside,
                "sentence": "Not tested: fewer than two losses of Δ alone."}  # fmt: skip
    least = min(each["estimate"] for each in found)
    outcome = "holds" if least >= SAME else "fails"
    others = f"; other pairs of losses: at least {min(e['estimate'] for e in beside):.0%}" if beside else ""
    told = f"{WORDS[outcome]}: equal signs in at least {least:.0%} over {len(found)} pairs of such losses{others}."
    return {"outcome": outcome, "tests": found, "beside": beside, "sentence": told}


def _same(one: Group, other: Group) -> Body:
    """Share of (pair, answer) with one sign, interval over pairs."""
    equal = [np.sign(one.changes("first", side)) == np.sign(other.changes("first", side))
             for side in ("chosen", "rejected")]  # fmt: skip
    return wilson(np.mean(equal, axis=0).mean(axis=0).tolist()).json()


def _cosine(diagnoses: Bodies) -> Body:
    """Differences between neighbours; with LoRA those of the first seed."""
    known = {body["data"]: Measured.of(body["cosine"]) for body in reversed(list(diagnoses.values()))}
    named = [name for name in CONTROLLED if name in known and known[name].measured]
    found = [(f"{more} − {less}", difference(known[more], known[less]))
             for less, more in pairwise(named)]  # fmt: skip
    if not found:
        return {"outcome": "not_tested", "tests": [], "sentence": "Not tested: fewer than two controlled data sets."}
    above = [each.low is not None and each.low > 0 for _, each in found]
    below = any(each.high is not None and each.high < 0 for _, each in found)
    outcome = "holds" if all(above) else "fails" if below else "undecided"
    told = ", ".join(f"{name} {known[name].estimate:.2f}" for name in named)
    tests = [{"label": label, **each.json()} for label, each in found]
    return {"outcome": outcome, "tests": tests, "sentence": f"{WORDS[outcome]}: mean cosine {told}."}


def _condition(table: Bodies) -> Body:
    """Over the predicted and decided rows; beside it what always saying the more frequent side would reach."""
    rows = [row for row in table.values() if row["came_true"] in ("yes", "no")]
    if not rows:
        return {"outcome": "not_tested", "tests": [], "sentence": "Not tested: no predicted row was decided."}
    right = wilson([float(row["came_true"] == "yes") for row in rows])
    ways = [row["tests"]["chosen"]["outcome"] for row in rows]
    guess = max(ways.count("rises"), ways.count("falls")) / len(rows)
    low, high = right.low or 0.0, 1.0 if right.high is None else right.high
    outcome = "holds" if low > 0.5 else "fails" if high < 0.5 else "undecided"
    told = (
        f"{WORDS[outcome]}: it came true in {right.estimate:.0%} of {len(rows)} decided rows; always saying the more "
        f"frequent side would reach {guess:.0%}."
    )
    test = {"label": "rows", **right.json(), "over": "rows", "always_the_more_frequent": guess}
    return {"outcome": outcome, "tests": [test], "sentence": told}


def _first(groups: Mapping[str, Group]) -> str:
    """The first loss of the study: that of its first training."""
    return next(iter(groups.values())).loss


def _paired(one: Group, other: Group | None) -> bool:
    return other is not None and [p["seed"] for p in one.points] == [p["seed"] for p in other.points]


def _less(one: Group, other: Group | None, side: str) -> Values:
    assert other is not None
    return one.changes("held_out", side) - other.changes("held_out", side)
