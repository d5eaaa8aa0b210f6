"""What `springback rlhf` answers, from its stored records alone: the `result` of the contract. Torch-free."""

from collections.abc import Mapping
from typing import Any

from springback.stats.measured import Measured
from springback.store.run import Run

HISTORY = ("step", "reward", "watch", "kl", "kl_k3", "length", "entropy", "ended", "repetition", "distinct", "updates",
           "tokens", "beta", "loss", "gradient_norm", "clipped", "ratio_mean", "ratio_furthest", "sampler_gap",
           "excluded")  # fmt: skip
NOTHING_DONE: Mapping[str, int] = {
    "steps": 0, "updates": 0, "tokens_written": 0, "tokens_trained": 0, "rewards": 0
}  # fmt: skip
MODEL = "model"
"""The folder of the trained model in the run."""
CUT_OFF = 0.5
"""Share of answers that ran into the length limit from which on a reader is told."""


def result(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The contract's keys for `springback rlhf`."""
    found = run.get("result", "result") or {}
    return {
        "model": str(run.path / MODEL),
        "sentence": found.get("sentence"),
        "history": [{name: body[name] for name in HISTORY} for body in run.read("step").values()],
        "held_out": found.get("held_out"),
        "alarm": {
            "fired": list(run.read("alarm").values()), "heard": found.get("alarm_heard"),
            "thresholds": found.get("thresholds"),
        },
        "method": run.meta.get("method"),
        "accounting": run.get("accounting", "accounting"),
        "work_done": dict(work_done),
        "report": report,
        "cost": run.meta.get("cost"),
    }  # fmt: skip


def failed(run: Run) -> str:
    """Why the result must not be quoted; empty where it may."""
    accounts = run.get("accounting", "accounting") or {}
    return "no step has updated the weights" if not accounts.get("updates") else ""


def doubts(run: Run) -> list[str]:
    """What to know beside the figures."""
    accounts = run.get("accounting", "accounting") or {}
    answers = accounts["answers"]
    told = [f"alarm at step {sign['step']}: {sign['sentence']}" for sign in run.read("alarm").values()]
    if answers["without_reward"]:
        told.append(f"{answers['without_reward']} of {answers['written']} answers had no reward and were left out")
    if answers["cut_off"] > CUT_OFF * answers["written"]:
        told.append(f"{answers['cut_off']} of {answers['written']} answers ran into --max-new-tokens")
    if accounts["last_step"]["name"] == "degenerate":
        told.append(f"what the model writes at the last step is degenerate: {accounts['last_step']['why']}")
    return told


def lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end."""
    found = run.get("result", "result") or {}
    steps = list(run.read("step").values())
    head = "step   reward    KL        tokens    entropy   clipped"
    shown = steps if len(steps) <= 12 else [*steps[:: max(1, len(steps) // 10)], steps[-1]]
    return [
        found.get("sentence", ""), head, *map(_line, shown), f"model: {run.path / 'model'}",
        *([f"page: {report}"] if report else []),
    ]  # fmt: skip


def _line(body: Mapping[str, Any]) -> str:
    cells = [_short(body[name]) for name in ("reward", "kl", "length", "entropy")]
    clipped = max(body["clipped"], default=0.0)
    return f"{body['step']:<7}" + "".join(f"{cell:<10}" for cell in cells) + f"{clipped:.1%}"


def _short(body: Mapping[str, Any]) -> str:
    value = Measured.of(body)
    return "–" if value.estimate is None else f"{value.estimate:.3f}"


def staged(run: Run, work_done: Mapping[str, int], report: str | None) -> dict[str, Any]:
    """The keys of the last stage, and what every stage found. `report`: the last stage's page."""
    stages = list(run.read("stage").values())
    last = Run.look(run.path / stages[-1]["run"])
    told = result(last, work_done, report)
    paths = {"run": lambda name: str(run.path / name), "model": lambda name: str(run.path / name)}
    listed = [{**stage, **{key: path(stage[key]) for key, path in paths.items()}} for stage in stages]
    return {**told, "stages": listed, "ledger": run.meta.get("ledger"), "cost": run.meta.get("cost")}


def staged_lines(run: Run, report: str | None) -> list[str]:
    """What a person reads at the end of the pipeline."""
    stages = list(run.read("stage").values())
    last = Run.look(run.path / stages[-1]["run"])
    where = [f"stage {stage['name']}: {run.path / stage['model']}" for stage in stages]
    return [*where, *lines(last, report)]
