"""What `springback prefer --self-play N` answers, from its rounds' stored records alone. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any

from springback.experiments.prefer import outcome
from springback.stats.measured import Measured
from springback.store.run import Run

NEXT = ("model", "verdict", "loss", "history", "held_out", "train", "accounting")
"""Keys of the last round that stand for the whole."""


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys, of the last round, and what every round found."""
    rounds = list(_rounds(run))
    last = next((one["result"] for one in reversed(rounds) if "result" in one), {})
    told = [{**{key: value for key, value in one.items() if key != "result"}, **_short(one)} for one in rounds]
    return {**{key: last.get(key) for key in NEXT}, "rounds": told, "work_done": dict(work_done), "report": report,
            "cost": run.meta.get("cost")}  # fmt: skip


def lines(run: Run, report: str | None) -> list[str]:
    """A line a round: its own answers, and what it did to the held-out ones."""
    rounds = list(_rounds(run))
    heads = f"{'round':<7}{'own = file':<12}{'cut off':<10}{'log π(file), nat':<20}{'change':<26}margin"
    model = next((one["result"]["model"] for one in reversed(rounds) if "result" in one), None)
    ends = [*([f"model: {model}"] if model else []), *([f"page: {report}"] if report else [])]
    return [heads, *map(_line, rounds), *ends]


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    return [text for one in _rounds(run) if "result" in one for text in outcome.doubts(_run_of(run, one))]


def failed(run: Run) -> str:
    """Why the result may not be quoted; empty where it may."""
    found = (outcome.failed(_run_of(run, one)) for one in _rounds(run) if "result" in one)
    return next(filter(None, found), "")


def _rounds(run: Run) -> Iterator[dict[str, Any]]:
    for body in run.read("round").values():
        one = {key: value for key, value in body.items() if key != "cost"}
        if body["over"]:
            yield one
        else:
            yield {**one, "run": str(run.path / body["run"]), "result": outcome.result(_run_of(run, body), {}, None)}


def _run_of(run: Run, body: Mapping[str, Any]) -> Run:
    return Run.look(run.path / str(body["run"]))


def _short(one: Mapping[str, Any]) -> dict[str, Any]:
    if "result" not in one:
        return {}
    held = one["result"]["held_out"]
    return {"model": one["result"]["model"], "logprob": held["chosen"]["logprob"], "change": held["chosen"]["change"],
            "margin": held["margin"], "reward_accuracy": held["reward_accuracy"]}  # fmt: skip


def _line(one: Mapping[str, Any]) -> str:
    own = one["training"]
    if one["over"]:
        return f"{one['round']:<7}{own['same']}/{own['prompts']:<10}{one['over']}"
    held = one["result"]["held_out"]
    values = [Measured.of(body) for body in (held["chosen"]["logprob"], held["chosen"]["change"], held["margin"])]
    shown = [_interval(value) for value in values]
    return (
        f"{one['round']:<7}{own['same']}/{own['prompts']:<10}{own['cut_off']:<10}"
        f"{values[0].estimate or 0.0:<20.2f}{shown[1]:<26}{shown[2]}"
    )


def _interval(value: Measured) -> str:
    if value.estimate is None:
        return "not measured"
    return f"{value.estimate:+.2f} [{value.low or 0.0:+.2f}, {value.high or 0.0:+.2f}]"
