"""What `springback prefer` answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.experiments.prefer.finish import MODEL
from springback.stats.measured import Measured
from springback.store.run import Run

FIELDS = ("chosen", "rejected", "margin", "accuracy", "reward_accuracy", "kl", "greedy", "unrelated")


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback prefer`."""
    return {
        "model": str(run.path / MODEL),
        "verdict": run.get("verdict", "verdict"),
        "loss": run.meta.get("loss"),
        "history": [_without_cost(body) for body in run.read("step").values()],
        "readings": [_light(body) for body in run.read("reading").values()],
        "entanglement": [_without_cost(body) for body in run.read("entanglement").values()],
        "embeddings": [_without_cost(body) for body in run.read("embedding").values()],
        "held_out": of_set(run, "held_out"),
        "train": of_set(run, "train"),
        "first_warning": next(iter(run.read("warning").values()), None),
        "data": run.read("data"),
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }


def of_set(run: Run, name: str) -> dict[str, Any]:
    """Where the model stands on a set at the end, and what the start prefers there."""
    bodies = [body for body in run.read("reading").values() if body["set"] == name]
    if not bodies:
        return {}
    return {"step": bodies[-1]["step"], "start_accuracy": bodies[0]["accuracy"],
            **{field: bodies[-1][field] for field in FIELDS}}  # fmt: skip


def sentence(run: Run) -> str:
    """What happened to held-out answers, in one sentence."""
    return (run.get("verdict", "verdict") or {"sentence": "Not finished."})["sentence"]


def failed(run: Run) -> str:
    """Why the result may not be quoted; empty where it may."""
    checks = (run.get("accounting", "accounting") or {}).get("checks", ())
    return "; ".join(f"{check['name']}: {check['why']}" for check in checks if check["outcome"] == "fail")


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    found = run.get("accounting", "accounting") or {}
    checks = [f"not: {one['name']} ({one['why']})" for one in found.get("checks", ()) if one["outcome"] == "doubt"]
    prefers = [_prefers(run)] if _prefers(run) else []
    gone = [_ledger(body) for body in run.read("ledger").values() if body["dropped"]]
    return [*(body["sentence"] for body in run.read("warning").values()), *checks, *found.get("notes", ()), *gone,
            *prefers]  # fmt: skip


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    heads = ("", "chosen", "rejected", "margin", "accuracy", "KL nat/token")
    rows = [heads, *(_row(run, name) for name in ("held_out", "train"))]
    table = [
        "".join(f"{cell:<28}" if place else f"{cell:<10}" for place, cell in enumerate(row)).rstrip() for row in rows
    ]
    ledgers = [_ledger(body) for body in run.read("ledger").values()]
    end = [f"model: {run.path / MODEL}", *([f"page: {report}"] if report else [])]
    return [sentence(run), *table, *ledgers, *end]


def _row(run: Run, name: str) -> tuple[str, ...]:
    found = of_set(run, name)
    if not found:
        return (name, *["not read"] * 5)
    values = [found["chosen"]["change"], found["rejected"]["change"], *(found[key] for key in FIELDS[2:4]), found["kl"]]
    return name, *(_short(value, signed=place < 3) for place, value in enumerate(values))


def _short(body: Mapping[str, Any], *, signed: bool) -> str:
    value, form = Measured.of(body), "+.3f" if signed else ".3f"
    if value.estimate is None:
        return "not measured"
    ends = f" [{value.low:{form}}, {value.high:{form}}]" if value.low is not None else ""
    return f"{value.estimate:{form}}{ends}"


def _ledger(body: Mapping[str, Any]) -> str:
    gone = "; ".join(f"{each['n']} dropped: {each['why']}" for each in body["dropped"])
    return f"{body['read']} {body['unit']} {body['stage']}, {body['kept']} kept" + (f"; {gone}" if gone else "")


def _prefers(run: Run) -> str:
    """Swapped columns cannot be known from a file; a start that prefers the rejected answers is worth a look."""
    start = Measured.of((of_set(run, "train") or {"start_accuracy": {"estimate": None, "why": "-"}})["start_accuracy"])
    if start.high is None or start.high >= 0.5:
        return ""
    return (
        f"the model prefers the rejected answer in {1 - (start.estimate or 0):.0%} of the training pairs before any "
        "training: longer chosen answers do that, swapped columns too"
    )


def _light(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("values", "cost")}


def _without_cost(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "cost"}
