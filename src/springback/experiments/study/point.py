"""One finished training of the study as its `point` record: changes of both log-probabilities, pair by pair."""

from typing import Any

from springback.experiments.prefer.order import Order
from springback.experiments.study.config import Combination, Study
from springback.store.run import Run

TOLD = ("margin", "accuracy", "reward_accuracy", "kl")


def point(run: Run, config: Study, one: Combination) -> dict[str, Any]:
    """Changes against the start in nats: held-out pairs at the end; training pairs after one step and at the end."""
    last = run.get("reading", f"held_out/{config.steps}") or {}
    train = _changes(run, "train", config.steps)
    order = Order(len(train["chosen"]), config.batch, 1, config.steps * config.batch, one.seed)
    return {
        "name": one.name, "data": one.data, "loss": one.loss, "cure": one.cure, "seed": one.seed,
        "start_margin": _margins(run), "held_out": _changes(run, "held_out", config.steps),
        "train": train, "first": _changes(run, "train", 1),
        "first_held_out": _changes(run, "held_out", 1),
        "first_batch": sorted(set(order.step(0)[0])), **{name: last[name] for name in TOLD},
        "steps": len(run.keys("step")), "loss_end": run.read("step")[str(config.steps - 1)]["loss"],
    }  # fmt: skip


def _margins(run: Run) -> list[float]:
    """Of log π(chosen) − log π(rejected) of the held-out pairs before training, nats."""
    values = (run.get("reading", "held_out/0") or {})["values"]
    return [one - other for one, other in zip(values["chosen"], values["rejected"], strict=True)]


def _changes(run: Run, name: str, step: int) -> dict[str, list[float]]:
    start, there = (run.get("reading", f"{name}/{at}") for at in (0, step))
    assert start is not None
    assert there is not None
    return {
        side: [late - early for late, early in zip(there["values"][side], start["values"][side], strict=True)]
        for side in ("chosen", "rejected")
    }
