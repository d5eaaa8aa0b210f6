"""The end of a run: the model is saved, and what was saved is measured: loaded again, in float32, on all held-out rows.

A network that was trained in float32 must give the same scores, to 1e-3 of their spread; how far off one in bfloat16
was is told, for its figures would be others.
"""

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from springback.experiments.reward.measures import measures
from springback.models import reward_folder
from springback.store.run import Run

if TYPE_CHECKING:
    from springback.experiments.reward.training import Trainer

MODEL = "model"
"""Folder of the saved model within the run."""
PROOF = 8
"""Held-out rows whose scores are compared with those of the saved model."""
CLOSE = 1e-3
"""Largest difference in score, in units of the scores' standard deviation and at least of 1, that passes."""


def finish(run: Run, bench: "Trainer") -> None:
    """Store what is still missing; the checkpoint is deleted at the end."""
    if run.get("moved", "moved") is None and bench.moved is not None:
        run.append("moved", "moved", bench.moved)
    told = bench.save(run.path / MODEL)
    if run.get("held_out", "held_out") is None:
        saved = reward_folder.load(str(run.path / MODEL), dtype=torch.float32, device=str(bench.model.network.device))
        bodies = bench.read(bench.held_out, saved)
        with run.together():
            for index, (body, where) in enumerate(zip(bodies, bench.held_out_where, strict=True)):
                run.append("score", str(index), {"where": where, **body})
            run.append("held_out", "held_out", measures(bodies))
    if run.get("accounting", "accounting") is None:
        run.append("accounting", "accounting", accounting(run, bench, _proof(run, bench), told))
    shutil.rmtree(bench.folder, ignore_errors=True)


def accounting(run: Run, bench: "Trainer", proof: Mapping[str, Any], told: Sequence[str]) -> dict[str, Any]:
    """What went in and what became of it, and which checks held."""
    steps, data = run.read("step").values(), run.get("data", "data") or {}
    return {
        "ledgers": data["ledgers"], "notes": [*data["notes"], *told],
        "steps": {"planned": bench.steps, "done": len(steps)},
        "examples": sum(step["examples"] for step in steps), "tokens": sum(step["tokens"] for step in steps),
        "training_rows": len(bench.training), "held_out_rows": len(bench.held_out), "saved": dict(proof),
        "checks": [*_moved_check(run), _saved_check(proof)],
    }  # fmt: skip


def _moved_check(run: Run) -> list[dict[str, str]]:
    found = run.get("moved", "moved")
    name = "every trained tensor moved in the first steps"
    if found is None or not found["enough"]:
        return [{"name": name, "outcome": "skip", "why": "the first steps were taken by an earlier call, or too few"}]
    return [{"name": name, "outcome": "pass" if found["ok"] else "fail", "why": found["why"]}]


def _saved_check(proof: Mapping[str, Any]) -> dict[str, str]:
    name = "the saved model, loaded again, gives the scores of the trained one"
    why = f"largest difference {proof['largest_difference']:.2g} over {proof['answers']} answers"
    if proof["trained_in"] != "float32":
        return {"name": name, "outcome": "skip", "why": f"{why}; trained in {proof['trained_in']}, saved in float32"}
    return {"name": name, "outcome": "pass" if proof["close"] else "fail", "why": why}


def _proof(run: Run, bench: "Trainer") -> dict[str, Any]:
    """The trained network's scores beside those of the saved model, which are stored."""
    trained = [score for body in bench.read(bench.held_out[:PROOF]) for score in body["scores"]]
    stored = [score for index in range(PROOF) if (body := run.get("score", str(index))) for score in body["scores"]]
    apart = max(abs(one - other) for one, other in zip(trained, stored, strict=True))
    spread = max(1.0, (run.get("held_out", "held_out") or {})["scores"]["standard_deviation"])
    computed = str(next(bench.model.states.parameters()).dtype).removeprefix("torch.")
    return {
        "trained_in": computed, "largest_difference": apart, "close": apart <= CLOSE * spread, "answers": len(stored)
    }  # fmt: skip
