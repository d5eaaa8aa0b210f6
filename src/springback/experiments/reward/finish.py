"""The end of a run: every held-out row is scored, the model is saved, its checks and its figures are stored.

What was saved is loaded again by plain transformers, in float32, and must give the scores that were measured: to 1e-3
of their spread where float32 was computed in; how far off bfloat16 was is told.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from springback.experiments.reward.measures import measures
from springback.fit.checks import Moved
from springback.models import reward_folder
from springback.models.reward_model import scores_of_rows
from springback.models.rows import Row
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
        run.append("moved", "moved", moved(bench.moved))
    if run.get("held_out", "held_out") is None:
        bodies = bench.read(bench.held_out)
        with run.together():
            for index, (body, where) in enumerate(zip(bodies, bench.held_out_where, strict=True)):
                run.append("score", str(index), {"where": where, **body})
            run.append("held_out", "held_out", measures(bodies))
    folder = run.path / MODEL
    told = bench.save(folder)
    if run.get("accounting", "accounting") is None:
        computed = str(next(bench.model.states.parameters()).dtype).removeprefix("torch.")
        rows = [row for each in bench.held_out[:PROOF] for row in each.rows]
        proof = {"computed_in": computed, **_proof(folder, rows, run)}
        run.append("accounting", "accounting", accounting(run, bench, proof, told))
    shutil.rmtree(bench.folder, ignore_errors=True)


def moved(found: Moved) -> dict[str, Any]:
    """Whether every trained tensor moved in the first steps."""
    stuck = ", ".join(f"{one.name} ({one.why})" for one in found.stuck[:3])
    enough = found.steps >= found.needed
    why = stuck or ("all moved" if enough else f"{found.steps} of {found.needed} steps were watched")
    return {"tensors": found.tensors_total, "moved": found.moved, "ok": found.ok, "why": why, "enough": enough}


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
    name = "the saved model, loaded again, gives the scores that were measured"
    why = f"largest difference {proof['largest_difference']:.2g} over {proof['answers']} answers"
    if proof["computed_in"] != "float32":
        return {"name": name, "outcome": "skip", "why": f"{why}; computed in {proof['computed_in']}, saved in float32"}
    return {"name": name, "outcome": "pass" if proof["close"] else "fail", "why": why}


def _proof(folder: Path, rows: Sequence[Row], run: Run) -> dict[str, Any]:
    again = scores_of_rows(reward_folder.load(str(folder), dtype=torch.float32), rows)
    stored = [score for index in range(PROOF) if (body := run.get("score", str(index))) for score in body["scores"]]
    apart = max(abs(one - other) for one, other in zip(again, stored, strict=True))
    spread = max(1.0, (run.get("held_out", "held_out") or {})["scores"]["standard_deviation"])
    return {"largest_difference": apart, "close": apart <= CLOSE * spread, "answers": len(rows)}
