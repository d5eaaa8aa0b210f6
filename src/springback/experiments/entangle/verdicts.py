"""What the steps of --verify say together: does the prediction hold, at which rates, and what would chance reach?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from springback.experiments.entangle.agreement import Changes, compared
from springback.stats.measured import unmeasured

Bodies = Sequence[Mapping[str, Any]]
LAW: Final = 0.95
"""Share of signs that the directional form must predict where the step is small."""
PREDICTORS: Final = ("directional", "gradient", "own", "gradient_euclidean", "own_euclidean")
"""The last two where the run's inner product is another one."""
_OTHER: Final = "directional: the step's own; gradient and own pair:"
METRIC: Final = {
    ("sgd", "euclidean"): "Euclidean: for plain descent the directional and the gradient form are the same number",
    ("adamw", "euclidean"): f"{_OTHER} Euclidean, which AdamW does not move by",
    ("sgd", "adam"): f"{_OTHER} Adam's, which plain descent does not move by",
    ("adamw", "adam"): "Adam's: of AdamW steps without momentum, begun with the second moments that the run names",
}
"""By optimiser and inner product of the run."""


def verified(steps: Bodies, optimizer: str, metric: str = "euclidean") -> dict[str, Any]:
    """The `verify` record: by rate and place, the law at the smallest rate, probes."""
    rates = sorted({step["rate"] for step in steps})
    by_rate = [_of_rate([step for step in steps if step["rate"] == rate], rate) for rate in rates]
    small = by_rate[0]["all"]["directional"]
    return {
        "sign_agreement": small["sign_agreement"], "rank_correlation": small["rank_correlation"],
        "at_rate": rates[0], "by_rate": by_rate, "optimizer": optimizer, "metric": METRIC[optimizer, metric],
        "law": _law(by_rate), "steps": len(steps),
        "noise_floor": max(step["floor"] for step in steps),
    }  # fmt: skip


def not_asked() -> dict[str, Any]:
    """The keys of the contract where no step was taken."""
    why = unmeasured("no step was taken: --verify").json()
    return {"sign_agreement": why, "rank_correlation": why}


def measured_chosen(steps: Bodies) -> dict[int, float]:
    """Measured change of the chosen answer at the smallest rate, by pair of the batch that was stepped on."""
    if not steps:
        return {}
    least = min(step["rate"] for step in steps)
    return {
        pair["index"]: pair["measured"][0]
        for step in steps if step["rate"] == least
        for pair in step["pairs"] if not pair["held_out"]
    }  # fmt: skip


def _of_rate(steps: Bodies, rate: float) -> dict[str, Any]:
    rows = [(step, pair) for step in steps for pair in step["pairs"]]
    places = {"batch": [row for row in rows if not row[1]["held_out"]],
              "held_out": [row for row in rows if row[1]["held_out"]], "all": rows}  # fmt: skip
    sizes = [abs(x) for _, pair in rows for x in pair["measured"]]
    errors = [abs(m - d) for _, pair in rows for m, d in zip(pair["measured"], pair["directional"], strict=True)]
    return {
        "rate": rate, "update_norm": float(np.mean([step["update_norm"] for step in steps])),
        "median_change": float(np.median(sizes)), "median_error": float(np.median(errors)),
        **{place: compared(_predictors(found)) for place, found in places.items() if found},
        "probes": _probes(steps),
    }  # fmt: skip


def _predictors(rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Changes]:
    """By predictor, the random one last: its signs are drawn, always the same ones for as many pairs."""
    measured = np.array([pair["measured"] for _, pair in rows])
    pairs = np.array([pair["index"] for _, pair in rows])
    floor = max(step["floor"] for step, _ in rows)
    found = {
        name: Changes(np.array([pair[name] or [np.nan, np.nan] for _, pair in rows]), measured, pairs, floor)
        for name in PREDICTORS if name in rows[0][1]
    }  # fmt: skip
    drawn = np.random.default_rng(len(rows)).standard_normal(measured.shape)
    return {**found, "random": Changes(drawn, measured, pairs, floor)}


def _law(by_rate: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """At the smallest rate with a change above the noise floor: held, not held, or not decided."""
    bare = {"threshold": LAW}
    for row in by_rate:
        found = row["all"]["directional"]["sign_agreement"]
        if found["estimate"] is not None:
            low, high = found.get("low"), found.get("high")
            held = low is not None and low >= LAW
            broken = high is not None and high < LAW
            outcome = "holds" if held else "fails" if broken else "undecided"
            return {**bare, "rate": row["rate"], "sign_agreement": found, "outcome": outcome,
                    "point_holds": found["estimate"] >= LAW}  # fmt: skip
    why = unmeasured("no change is above the noise floor").json()
    return {**bare, "rate": None, "sign_agreement": why, "outcome": "undecided", "point_holds": None}


def _probes(steps: Bodies) -> dict[str, Any]:
    """Predicted and measured change of both probes, mean over pairs; None where none was followed."""
    found = {}
    for name in ("greedy", "unrelated"):
        rows = [probe for step in steps for probe in step["probes"] if probe["probe"] == name]
        found[name] = {
            "n": len(rows), "predicted": float(np.mean([row["predicted"] for row in rows])),
            "measured": float(np.mean([row["measured"] for row in rows])),
        } if rows else None  # fmt: skip
    return found
