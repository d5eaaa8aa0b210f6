"""From stored cells to stored findings: each prediction with its interval over seeds, the grid over seeds, the verdict.

Nothing here sees a model; the same records give the same findings.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from springback.experiments.toy.config import Toy
from springback.experiments.toy.mixture_run import predicted
from springback.experiments.toy.plan import Cell, cells
from springback.experiments.toy.predictions import PREDICTIONS, Prediction
from springback.experiments.toy.seen import Seen
from springback.experiments.toy.statistic import Part
from springback.stats.measured import Measured, unmeasured
from springback.stats.paired import over_seeds, ratio_of_means
from springback.store.run import Run

Cells = Mapping[str, Mapping[str, Any]]
FEWEST: Final = 3
"""Seeds that an interval needs."""


def settle(config: Toy, run: Run) -> None:
    """Store predictions, points, return and verdict, together, unless they are stored."""
    if run.get("verdict", "verdict") is not None:
        return
    found, theory = run.read("cell"), predicted(config, cells(config))
    seeds, ideal = seen(config, found), seen(config, theory)
    settled = [outcome(prediction, config, seeds, ideal) for prediction in PREDICTIONS]
    with run.together():
        for body in settled:
            run.append("prediction", body["name"], body)
        for key, body in points(config, found, theory):
            run.append("point", key, body)
        for size in config.align_sizes:
            run.append("return", str(size), _return(config, size, seeds, ideal))
        run.append("verdict", "verdict", verdict(settled, config))


def seen(config: Toy, found: Cells) -> list[Seen]:
    """One view a seed, in the reference world."""
    return [Seen(found, config, seed, *config.reference) for seed in config.seeds]


def outcome(prediction: Prediction, config: Toy, seeds: Sequence[Seen], ideal: Sequence[Seen]) -> dict[str, Any]:
    """The body of a `prediction` record. The first part is the statistic; all parts decide."""
    head = {"name": prediction.name, "statement": prediction.statement, "source": prediction.source}
    if why := prediction.needs(config):
        none = unmeasured(why).json()
        return {**head, "statistic": none, "interval": None, "survives": "undecided", "why": why, "parts": []}
    parts = [_part(part, seeds, ideal) for part in prediction.parts(config)]
    first = parts[0]["statistic"]
    interval = None if first.get("low") is None else [first["low"], first["high"]]
    why = _unpredicted(prediction, parts)
    survives = "undecided" if why else _all_of([part["survives"] for part in parts])
    return {**head, "statistic": first, "interval": interval, "survives": survives, "why": why, "parts": parts}


def _all_of(answers: Sequence[str]) -> str:
    return "no" if "no" in answers else "undecided" if "undecided" in answers else "yes"


def _unpredicted(prediction: Prediction, parts: Sequence[Mapping[str, Any]]) -> str | None:
    """A rule that the theorem itself misses at these sizes tests nothing."""
    if prediction.source not in ("theorem", "control") or all(part["theory_survives"] != "no" for part in parts):
        return None
    return "the count mixture itself does not meet the rule at these sizes"


def _part(part: Part, seeds: Sequence[Seen], ideal: Sequence[Seen]) -> dict[str, Any]:
    found, theory = _found(part, seeds), _found(part, ideal)
    return {"what": part.what, "rule": part.rule(), "statistic": found.json(), "theory": theory.json(),
            "survives": part.settled(found), "theory_survives": part.settled(theory)}  # fmt: skip


def _found(part: Part, seeds: Sequence[Seen]) -> Measured:
    values = [part.of(seed) for seed in seeds]
    if part.by is None:
        return _over(values, part.unit)
    return _ratio(values, [part.by(seed) for seed in seeds])


def _over(values: Sequence[float], unit: str) -> Measured:
    return over_seeds(list(values), unit=unit)


def _ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Measured:
    """Ratio of means; not reported where the bottom is not clear of 0, nor below three seeds."""
    if len(tops) < FEWEST:
        return unmeasured(f"fewer than {FEWEST} seeds")
    return ratio_of_means(list(tops), list(bottoms), over="seeds", unit="1")


def points(config: Toy, found: Cells, theory: Cells) -> list[tuple[str, dict[str, Any]]]:
    """Every place of the grid over seeds, with what the count mixture gives there."""
    first = [cell for cell in cells(config) if cell.seed == config.seeds[0]]
    return [(cell.place, _point(cell, config, found, theory)) for cell in first]


def _point(cell: Cell, config: Toy, found: Cells, theory: Cells) -> dict[str, Any]:
    keys = [f"{seed}/{cell.place}" for seed in config.seeds]
    one = found[keys[0]]
    head = {name: one[name] for name in ("arm", "phase", "mix", "pretrain", "align", "reverse")}
    return {**head, **_readings(one, [found[key] for key in keys]),
            "theory": _readings(one, [theory[key] for key in keys]), "records": keys}  # fmt: skip


def _readings(one: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gamma = {
        data: {kind: _over([row["gamma"][data][kind] for row in rows], "bit/symbol").json() for kind in rates}
        for data, rates in one["gamma"].items()
    }
    kls = {name: _over([row[name] for row in rows], "bit/string").json() for name in ("kl_from_start", "kl_to_start")}
    mass = {name: _over([row["mass"][name] for row in rows], "probability").json() for name in one["mass"]}
    return {"gamma": gamma, **kls, "mass": mass}


def _return(config: Toy, size: int, seeds: Sequence[Seen], ideal: Sequence[Seen]) -> dict[str, Any]:
    """Stiffness, closest return, overshoot; `placebo`: how far as much training on pretraining data leads."""
    last = config.reverse_sizes[-1]
    nearest = [seed.closest(size) for seed in seeds]
    kl = _over([distance for _, distance in nearest], "bit/string")
    n = _over([float(n) for n, _ in nearest], "strings")
    steps = _over([n / config.batch for n, _ in nearest], "steps")
    return {
        "aligned": size, "stiffness": _stiffness(config, size, seeds, ideal),
        "closest_return": {
            "kl": kl.json(), "examples": n.json(), "steps": steps.json(),
            "tokens": _over([float(n * config.length) for n, _ in nearest], "symbols").json(),
            "reached": kl.high is not None and kl.high <= config.tolerance, "tolerance": config.tolerance,
            "theory": {"kl": _over([s.closest(size)[1] for s in ideal], "bit/string").json(),
                       "examples": _over([float(s.closest(size)[0]) for s in ideal], "strings").json()},
        },
        "placebo": _over([s.cell(size, 0, "placebo")["kl_from_start"] for s in seeds], "bit/string").json(),
        "undone": _over([seed.undone(size) for seed in seeds], "share").json(),
        "overshoot": _over([s.distances(size)[last] - s.closest(size)[1] for s in seeds], "bit/string").json(),
    }  # fmt: skip


def _stiffness(config: Toy, size: int, seeds: Sequence[Seen], ideal: Sequence[Seen]) -> dict[str, Any]:
    """R = −Δγ_a/Δγ_p over the first reversal, beside k."""
    n = config.look_after(size)
    found, theory = (
        _ratio([s.moved("aligned", size, n) for s in those], [-s.moved("pretraining", size, n) for s in those])
        for those in (seeds, ideal)
    )
    return {"R": found.json(), "theory": theory.json(), "k": config.pretrain[-1] / size, "examples": n}


def verdict(settled: Sequence[Mapping[str, Any]], config: Toy) -> dict[str, Any]:
    """By definition 3.6: does it rebound beyond the placebo, and does it come back?"""
    said = {body["name"]: body["survives"] for body in settled}
    rebound = [said[name] for name in ("pretraining_recovers", "beyond_placebo")]
    if "no" in rebound:
        label, sentence = "no_rebound", "The reversal does not take the model back towards pretraining data."
    elif "undecided" in rebound:
        label, sentence = "inconclusive", "Whether the reversal leads back towards pretraining data is not decided."
    else:
        label, sentence = _come_back(said["returns_to_base"], config)
    counts = {answer: sum(body["survives"] == answer for body in settled) for answer in ("yes", "no", "undecided")}
    ratio = {"yes": "holds", "no": "fails", "undecided": "is undecided"}[said["k_fold_ratio"]]
    tests = [{"name": b["name"], "statistic": b["statistic"], "outcome": b["survives"]} for b in settled]
    return {"label": label, "sentence": f"{sentence} The k-fold ratio {ratio}.", "survives": counts, "tests": tests}


def _come_back(returned: str, config: Toy) -> tuple[str, str]:
    if returned == "yes":
        return "springs_back", f"It springs back: within {config.tolerance:g} bit per string of the base."
    if returned == "no":
        return "springs_back_partly", f"It springs back in part, never within {config.tolerance:g} bit of the base."
    return "springs_back_partly", "It springs back; whether as far as the base is not decided."
