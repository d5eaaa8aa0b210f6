"""What `springback study` answers, from its stored records alone. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.stats.measured import Measured
from springback.store.run import Run

HEADS = ("data", "loss", "cure", "chosen", "rejected", "margin", "fell", "predicted", "happened", "cost in margin")
WIDTHS = (14, 12, 24, 26, 26, 26, 7, 11, 11, 0)


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """Rows, claims and data sets; points hold the changes of every pair."""
    return {
        "verdict": run.get("verdict", "verdict"), "table": list(run.read("row").values()),
        "claims": [{"name": name, **body} for name, body in run.read("claim").items()],
        "sets": [{**body, **_diagnosed(run, name)} for name, body in run.read("set").items()],
        "points": [_light(body) for body in run.read("point").values()], "plan": run.meta.get("plan"),
        "accounting": run.get("accounting", "accounting"), "work_done": dict(work_done), "report": report,
        "cost": run.meta.get("cost"),
    }  # fmt: skip


def failed(run: Run) -> str:
    """Why the result may not be quoted; empty where it may."""
    del run
    return ""


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    notes = {body["note"] for body in run.read("diagnosis").values() if body["note"]}
    gone = [
        f"{name}: {each['n']} of {ledger['read']} pairs left out: {each['why']}"
        for name, body in run.read("set").items()
        for ledger in body["ledgers"]
        for each in ledger["dropped"]
    ]
    return [*sorted(notes), *gone]


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    told = [str((run.get("verdict", "verdict") or {"sentence": "Not finished."})["sentence"])]
    told += [f"{name}: {body['sentence']}" for name, body in run.read("claim").items()]
    told += ["", _line(HEADS), *(_line(_cells(body)) for body in run.read("row").values())]
    return [*told, *([f"page: {report}"] if report else [])]


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    sides = [_said(row[side]) for side in ("chosen", "rejected", "margin")]
    fell = f"{row['chosen_fell']['held_out']['estimate']:.0%}"
    predicted = row["predicted"].get("word") or "–"
    cost = "" if row["cost"] is None else f"{_said(row['cost']['difference'])} {row['tests']['cost']['outcome']}"
    happened = row["tests"]["chosen"]["outcome"]
    return row["data"].rpartition("/")[2], row["loss"], row["cure"], *sides, fell, predicted, happened, cost


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _said(body: Mapping[str, Any]) -> str:
    value = Measured.of(body)
    if value.estimate is None:
        return "not measured"
    return f"{value.estimate:+.2f} [{value.low:+.2f}, {value.high:+.2f}]"


def _diagnosed(run: Run, name: str) -> dict[str, Any]:
    """Cosine and cases of the set's training pairs at the start; with LoRA of the first seed."""
    body = next((body for body in run.read("diagnosis").values() if body["data"] == name), {})
    return {part: body.get(part) for part in ("cosine", "case_2", "case_3")}


def _light(body: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("held_out", "train", "first", "first_held_out", "start_margin", "cost")
    return {name: value for name, value in body.items() if name not in left_out}
