"""What `springback entangle` answers, from its stored records alone: the `result` of the contract. Torch-free."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from springback.experiments.entangle import verdicts
from springback.stats.measured import Measured
from springback.store.run import Run

MOST: Final = 1_000
"""Pairs that stand in the result itself; more stand in a file."""
DROPPED: Final = ("cost", "layers", "kinds")
"""What a pair of the result leaves out; it stands in its record."""
SIGNS: Final = {
    "gradient": "gradient", "own": "own pair only", "gradient_euclidean": "gradient, Euclid",
    "own_euclidean": "own pair, Euclid", "random": "at random",
}  # fmt: skip
"""Predictors beside the step's own, with the heads of their columns."""


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback entangle`."""
    shares = run.get("shares", "shares") or {}
    return {
        "sentence": (run.get("verdict", "verdict") or {}).get("sentence"),
        "metric": _plain(run.get("metric", "metric")),
        "pairs": pairs(run),
        "shares": shares,
        "verify": _plain(run.get("verify", "verify")) if run.get("verify", "verify") else verdicts.not_asked(),
        "losses": [_plain(body) for body in run.read("loss").values()],
        "cures": [_plain(body) for body in run.read("cure").values()],
        "scores": {name: _plain(body) for name, body in run.read("score").items()},
        "where": {part: body["places"] for part, body in run.read("where").items()},
        "probes": _plain(run.get("probed", "probed")),
        "data": _plain(run.get("data", "data")),
        "notes": notes(run),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def pairs(run: Run) -> list[dict[str, Any]] | dict[str, Any]:
    """Every pair in file order; past `MOST` of them a file of JSON lines in the run, with their number."""
    found = sorted(run.read("pair").values(), key=lambda body: body["index"])
    light = [{name: value for name, value in body.items() if name not in DROPPED} for body in found]
    if len(light) <= MOST:
        return light
    path = run.path / "pairs.jsonl"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(body) + "\n" for body in light), encoding="utf-8")
        partial.replace(path)
    return {"file": str(path), "n": len(light)}


def failed(run: Run) -> str:
    """Why the result must not be quoted; empty where it may be. A prediction that failed is a result."""
    del run
    return ""


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    stamp = run.meta.get("plan", {}).get("stamp")
    return [*([stamp] if stamp else []), *notes(run)]


def notes(run: Run) -> list[str]:
    """How inner products were made where the quick way was not taken; what the data's reader noticed; rows left out."""
    data = run.get("data", "data") or {}
    said = {body["note"]: None for body in run.read("batch").values() if body["note"]}
    left = [ledger["sentence"] for ledger in data.get("ledgers", []) if ledger["read"] > ledger["kept"]]
    return [*said, *data.get("notes", []), *left]


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    found, shares = run.get("verdict", "verdict") or {}, run.get("shares", "shares") or {}
    metric = run.get("metric", "metric") or {}
    head = [found.get("sentence", ""), found.get("lead", ""), metric.get("sentence", "")]
    if not shares.get("n"):
        return [line for line in head if line]
    rows = [f"{'':<28}{'chosen falls':<24}{'rejected rises':<24}margin shrinks"]
    rows += [_row("each pair alone", shares), _row("whole batches", shares["in_batch"])]
    cures = [_row(body["name"][:27], body) for body in run.read("cure").values() if body["evaluated"]][1:]
    return [*(line for line in head if line), *rows, *cures, *_verify(run), *([f"page: {report}"] if report else [])]


def _verify(run: Run) -> list[str]:
    found = run.get("verify", "verify")
    if found is None:
        return []
    first = found["by_rate"][0]["batch"]
    signs = {name: words for name, words in SIGNS.items() if name in first}
    rows = [f"{'rate':<10}{'signs, step’s own Δθ':<28}{'rank correlation':<28}{_columns(signs.values())}"]
    for row in found["by_rate"]:
        table = {**row["all"], **{name: row["batch"][name] for name in signs if name.startswith("own")}}
        rows.append(
            f"{row['rate']:<10g}{_short(table['directional']['sign_agreement']):<28}"
            f"{_short(table['directional']['rank_correlation']):<28}"
            + _columns(_short(table[name]["sign_agreement"], ends=False) for name in signs)
        )
    return [*rows, f"inner product: {found['metric']}; noise floor {found['noise_floor']:.1e} nat"]


def _columns(cells: Iterable[str]) -> str:
    return "".join(f"{cell:<18}" for cell in cells).rstrip()


def _row(name: str, body: Mapping[str, Any]) -> str:
    parts = [_short(body[key]) for key in ("chosen_falls", "rejected_rises", "margin_shrinks")]
    return f"{name:<28}{parts[0]:<24}{parts[1]:<24}{parts[2]}"


def _short(body: Mapping[str, Any], *, ends: bool = True) -> str:
    value = Measured.of(body)
    if value.estimate is None:
        return "not measured"
    interval = f" [{value.low:.2f}, {value.high:.2f}]" if ends and value.low is not None else ""
    return f"{value.estimate:.2f}{interval}"


def _plain(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if body is None else {name: value for name, value in body.items() if name != "cost"}
