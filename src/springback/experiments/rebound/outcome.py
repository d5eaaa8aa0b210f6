"""What a rebound run answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.rebound.verdict import words
from springback.stats.measured import Measured
from springback.store.run import Run


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys; the single readings are those of the first sweep, `sweeps` has all."""
    first = next(iter(run.read("sweep")))
    sweeps = {name: _sweep(run, name) for name in run.read("sweep")}
    return {
        "verdict": run.get("verdict", "verdict"), "grid": list(run.read("cell").values()),
        "stiffness": sweeps[first]["stiffness"], "overshoot": sweeps[first]["overshoot"]["margin"],
        "closest_return": sweeps[first]["closest_return"], "interference": sweeps[first]["interference"],
        "sweeps": list(sweeps.values()), "comparisons": list(run.read("comparison").values()),
        "scaling": list(run.read("scaling").values()), "work_done": dict(work_done), "report": report,
        "cost": run.meta.get("cost"),
    }  # fmt: skip


def reportable(run: Run) -> tuple[bool, str]:
    """Whether the checks of the first sweep, whose verdict is the run's, let it be quoted; if not, why."""
    found = run.get("verdict", "verdict") or {}
    return bool(found.get("reportable")), str(found.get("why") or "")


def cautions(run: Run) -> list[str]:
    """What must not be quoted, sweep by sweep, and what to know of the ways of tuning."""
    unfit = {name: body["why"] for name, body in run.read("sweep").items() if not body["reportable"]}
    return [*(f"{name} is not reportable: {why}" for name, why in unfit.items()), *run.meta.get("cautions", [])]


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    found = run.get("verdict", "verdict") or {}
    told = [str(found.get("headline") or "no verdict"), f"verdict: {words(found.get('label'))}", str(found["sentence"])]
    told += [_line(run, name) for name in run.read("sweep")]
    return [*told, *([f"page: {report}"] if report else [])]


def _line(run: Run, name: str) -> str:
    price, ratio = run.get("price", name) or {}, Measured.of((run.get("stiffness", name) or {})["R"])
    label = words((run.get("sweep", name) or {}).get("label"))
    stiff = f"not reportable ({ratio.why})" if ratio.estimate is None else _said(ratio)
    return f"{name}: {label}; half undone {_undone(Measured.of(price['half_life']))}; R {stiff}"


def _undone(price: Measured) -> str:
    return f"cannot be told ({price.why})" if price.estimate is None else f"after {_said(price)} examples"


def _said(value: Measured) -> str:
    low, high = ("…" if end is None else f"{end:.3g}" for end in (value.low, value.high))
    return f"{value.estimate:.3g} [{low}, {high}]"


def _sweep(run: Run, name: str) -> dict[str, Any]:
    kinds = ("sweep", "stiffness", "overshoot", "closest_return", "price", "agreement")
    found = {kind: run.get(kind, name) or {} for kind in kinds}
    signs = [body for body in run.read("interference").values() if body["sweep"] == name]
    own = {part: value for part, value in found["sweep"].items() if part != "tests"}
    return {**own, **{kind: found[kind] for kind in kinds[1:]}, "interference": signs}
