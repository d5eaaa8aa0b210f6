"""What `springback reward` answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.audit.outcome import failed
from springback.stats.measured import Measured
from springback.store.run import Run

__all__ = ["doubts", "failed", "lines", "result"]

MODEL = "model"


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback reward`."""
    return {
        "model": str(run.path / MODEL),
        "history": history(run),
        "held_out": run.get("held_out", "held_out"),
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def history(run: Run) -> list[dict[str, Any]]:
    """One entry a number of steps done, from 0: the step that led there, and what was read after it."""
    steps = {body["step"] + 1: body for body in run.read("step").values()}
    readings = {body["step"]: body for body in run.read("reading").values()}
    return [_entry(done, steps.get(done), readings.get(done)) for done in sorted({*steps, *readings})]


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    held, told = run.get("held_out", "held_out") or {}, run.get("accounting", "accounting") or {}
    found = list(told["notes"])
    found += [ledger_words(one) for one in told["ledgers"] if one["dropped"]]
    if not Measured.of(held["accuracy"]).excludes(0.5):
        found.append("accuracy on held-out pairs cannot be told from chance")
    if (loses := Measured.of(held["length"]["accuracy_longer_loses"])).high is not None and loses.high < 0.5:
        found.append("where the longer answer is the worse one, it is preferred all the same: the score counts length")
    return found


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    held = run.get("held_out", "held_out") or {}
    named = {
        "accuracy on held-out pairs": held["accuracy"], "… where the longer answer is worse":
        held["length"]["accuracy_longer_loses"], "score against length": held["length"]["correlation"],
        "Brier score": held["calibration"]["brier"], "temperature": held["calibration"]["temperature"],
    }  # fmt: skip
    rows = [f"{name:<36}{shown(body)}" for name, body in named.items()]
    return [*rows, f"model: {run.path / MODEL}", *([f"page: {report}"] if report else [])]


def shown(body: Mapping[str, Any]) -> str:
    """Estimate and interval in words."""
    value = Measured.of(body)
    if value.estimate is None:
        return f"not measured: {value.why}"
    ends = ["…" if end is None else f"{end:.3f}" for end in (value.low, value.high)]
    return f"{value.estimate:.3f} [{', '.join(ends)}]  (n = {value.n} {value.over})"


def ledger_words(ledger: Mapping[str, Any]) -> str:
    """A ledger with its reasons in one line."""
    gone = "; ".join(f"{one['n']} dropped: {one['why']} ({', '.join(one['first'])})" for one in ledger["dropped"])
    return f"{ledger['read']} {ledger['unit']} {ledger['stage']}, {ledger['kept']} kept; {gone}"


def _entry(done: int, step: Mapping[str, Any] | None, reading: Mapping[str, Any] | None) -> dict[str, Any]:
    told = {name: value for name, value in (step or {}).items() if name not in ("step", "cost")}
    read = {name: reading[name] for name in ("held_out", "training")} if reading else {}
    return {"step": done, **told, **read}
