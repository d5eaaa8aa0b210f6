"""Pairs as their records hold them: inner products, pulls, and what `train.entanglement.conditions` makes of both.

Changes are nats for each unit of learning rate, under plain gradient descent. `chosen_change` and `rejected_change` are
those of a step on the pair alone. In a batch of N with the mean as its loss the pair's own part is 1/N of that; the
rest is what the other pairs do to it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from springback.train.entanglement import Grams, PairGram, Weights, conditions

WORDS: Final = {
    (True, True): "holds",
    (False, True): "chosen_falls",
    (True, False): "rejected_rises",
    (False, False): "both_wrong",
}
"""The condition in a word, by (chosen does not fall, rejected does not rise), own pair alone."""
NONE: Final = "cannot_move"
"""The condition of a pair whose answers are the same tokens, or have no gradient."""


def bodies(found: Sequence[PairGram], weights: Weights) -> list[dict[str, Any]]:
    """What follows from the inner products and pulls of a batch, one mapping a pair, in its order."""
    grams, rests = Grams.of([pair.whole for pair in found]), Grams.of([pair.rest for pair in found])
    held, changes = conditions.condition(grams, weights), conditions.own_changes(grams, weights)
    bands, q = conditions.band(grams), conditions.ratio(weights)
    columns = {
        "ww": grams.ww, "ll": grams.ll, "wl": grams.wl, "cosine": conditions.cosine(grams),
        "d_w": weights.chosen, "d_l": weights.rejected, "q": q,
        "chosen_change": changes.chosen, "rejected_change": changes.rejected, "margin_change": changes.margin,
    }  # fmt: skip
    rest = {"ww": rests.ww, "ll": rests.ll, "wl": rests.wl, "cosine": conditions.cosine(rests)}
    return [
        {
            **_at(columns, i), "relative": _relative(pair), "without_prefix": _at(rest, i),
            "band": _band(*(float(column[i]) for column in (*bands, q))),
            "case": case.value, "condition": _word(pair, (bool(held.chosen_rises[i]), bool(held.rejected_falls[i]))),
        }
        for i, (pair, case) in enumerate(zip(found, conditions.cases(grams), strict=True))
    ]  # fmt: skip


def with_batch(body: Mapping[str, Any], total: tuple[float, float], *, size: int) -> dict[str, Any]:
    """The record with what a step on the whole batch does to the pair: its own part and the rest add up to the total.

    `total`: change of the chosen and the rejected answer, nats for each unit of learning rate; `size`: pairs in it.
    """
    own = {"chosen": body["chosen_change"] / size, "rejected": body["rejected_change"] / size}
    whole = {"chosen": total[0], "rejected": total[1]}
    rest = {side: whole[side] - own[side] for side in whole}
    return {**body, "in_batch": {"own": own, "rest": rest, "total": whole}}


def by_place(pair: PairGram, place: Mapping[str, str]) -> dict[str, list[float]]:
    """[ww, ll, wl] of each place (a layer, a kind of parameter); they sum to the pair's."""
    found: dict[str, list[float]] = {}
    for name, products in pair.parts.items():
        sums = found.setdefault(place[name], [0.0, 0.0, 0.0])
        found[place[name]] = [one + more for one, more in zip(sums, products, strict=True)]
    return found


def _band(low: float, centre: float, high: float, q: float) -> dict[str, Any]:
    """Edges and centre of the band for q, and where q lies; None where there is no bound, or no q.

    `position` is log(q / q*) over the half width: −1 and 1 are the edges, 0 is pairwise normalised descent.
    """
    known = all(map(math.isfinite, (low, centre, q)))
    at = "undefined" if not known else "below" if q < low else "above" if q > high else "inside"
    half = math.log(high / centre) if known and 0 < centre < high < math.inf else None
    position = math.log(q / centre) / half if half and known and q > 0 else None
    return {"low": _number(low), "centre": _number(centre), "high": _number(high), "position": position, "at": at}


def _word(pair: PairGram, held: tuple[bool, bool]) -> str:
    return NONE if pair.identical or max(pair.ww, pair.ll) == 0 else WORDS[held]


def _relative(pair: PairGram) -> float | None:
    """⟨g_w, g_l⟩ / min(‖g_w‖², ‖g_l‖²): above 1 Condition 1 of the paper fails."""
    least = min(pair.ww, pair.ll)
    return pair.wl / least if least > 0 else None


def _at(columns: Mapping[str, Any], index: int) -> dict[str, float | None]:
    return {name: _number(float(column[index])) for name, column in columns.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
