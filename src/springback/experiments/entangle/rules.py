"""Which pairs pass: a rule by name, or a bound on one of their numbers. Torch-free.

    condition         neither will the chosen answer fall nor the rejected one rise, each pair's own term alone
    chosen_rises      the chosen answer will not fall          rejected_falls   the rejected one will not rise
    NAME<BOUND        cosine<0.8, relative<1, ches<p80: keeps what is below; NAME>BOUND what is above

A bound `p80` is the 80th percentile over the pairs that are judged. `relative` is ⟨g_w, g_l⟩ / min(‖g_w‖², ‖g_l‖²).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from springback.errors import RefusedError

NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "condition": ("chosen_change", "rejected_change"),
    "chosen_rises": ("chosen_change",),
    "rejected_falls": ("rejected_change",),
}
"""Rule by name → the predicted changes that must not go the wrong way."""
NUMBERS: Final = ("cosine", "relative", "ches", "ches_by_length", "edit_distance", "length_difference", "hidden_cosine",
                  "chosen_change", "rejected_change", "margin_change")  # fmt: skip
"""What a bound may be put on."""
BOUND: Final = re.compile(r"([a-z_]+)\s*([<>])\s*(p?)(-?\d+(?:\.\d*)?(?:e-?\d+)?)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one pair passes, and if not, why."""

    passes: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it was asked for."""

    name: str
    number: str = ""
    """What is bounded; empty for a rule by name."""
    above: bool = False
    percentile: bool = False
    bound: float = 0.0

    def judge(self, pairs: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """One verdict a pair. A number that a pair lacks fails a bound; equal answers pass no rule by name."""
        if not self.number:
            return [self._by_name(pair) for pair in pairs]
        values = [number_of(pair, self.number) for pair in pairs]
        known = [value for value in values if value is not None]
        bound = float(np.percentile(known, self.bound)) if self.percentile and known else self.bound
        return [self._by_bound(value, bound) for value in values]

    def _by_name(self, pair: Mapping[str, Any]) -> Verdict:
        if pair["condition"] == "cannot_move":
            return Verdict(passes=False, why="both answers are the same tokens")
        told = {
            "chosen_change": ("the chosen answer will fall", -1),
            "rejected_change": ("the rejected one will rise", 1),
        }
        wrong = [told[key][0] for key in NAMED[self.name] if pair[key] * told[key][1] > 0]
        return Verdict(not wrong, " and ".join(wrong))

    def _by_bound(self, value: float | None, bound: float) -> Verdict:
        if value is None:
            return Verdict(passes=False, why=f"{self.number} is not defined")
        passes = value > bound if self.above else value < bound
        sign = "≤" if self.above else "≥"
        return Verdict(passes, "" if passes else f"{self.number} is {value:.6g}, {sign} {bound:.6g}")


def rule_named(text: str) -> Rule:
    """The rule of this name. RefusedError where there is none."""
    if text in NAMED:
        return Rule(text)
    found = BOUND.fullmatch(text.strip())
    if found is None or found[1] not in NUMBERS or (found[3] and not 0 <= float(found[4]) <= 100):
        raise RefusedError(
            f"{text} is no rule", kind="option", where="--rule",
            next=f"Give {', '.join(NAMED)}, or NAME<BOUND or NAME>BOUND (a number, or p0 to p100) with one of "
            f"{', '.join(NUMBERS)}.",
        )  # fmt: skip
    return Rule(text, found[1], above=found[2] == ">", percentile=bool(found[3]), bound=float(found[4]))


def number_of(pair: Mapping[str, Any], name: str) -> float | None:
    """One number of a pair's record, wherever it stands in it; None where it is not defined."""
    found = pair.get(name, pair.get("scores", {}).get(name))
    return None if found is None else float(found)
