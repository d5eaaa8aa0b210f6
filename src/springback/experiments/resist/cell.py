"""One training as a record: its curve, and what is read off it. Torch-free."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from springback.elasticity.resistance import Curve, area, excess, left, paper_statistic, steps_to
from springback.experiments.resist.config import Design, Training
from springback.store.run import Run


def cell(
    training: Training,
    design: Design,
    target: Mapping[str, Any],
    readings: Sequence[Mapping[str, Any]],
    losses: Sequence[float],
) -> dict[str, Any]:
    """The body of a `cell`. `excess`: by the sampled tokens; `area`, `left`, `steps_to_half`: by exact expectations."""
    found, sampled = (curve_of(readings, target, of=name) for name in ("kl", "excess"))
    ends = {"initial": readings[0], "final": readings[-1]}
    return {
        "id": training.id, "seed": training.seed, "start": training.start, "target": training.target,
        "role": training.role, "steps": design.steps, "examples": design.steps * design.batch,
        "excess": {
            "initial": excess(sampled, 0).json(), "final": excess(sampled, len(readings) - 1).json(),
            "area": area(sampled).json(),
        },
        "area": area(found).json(), "left": left(found).json(), "steps_to_half": steps_to(found).json(),
        "kl_from_target": {name: reading["kl_from_target"] for name, reading in ends.items()},
        "kl_from_base": {name: reading["kl_from_base"] for name, reading in ends.items()},
        "paper_statistic": statistic(losses), "training_losses": list(losses),
    }  # fmt: skip


def statistic(losses: Sequence[float]) -> dict[str, Any]:
    """The paper's number with what it is."""
    what = "mean of all training losses, as in the paper's table 1: not held out, the target's entropy not taken off"
    return {**paper_statistic(losses).json(), "what": what}


def curve_of(readings: Sequence[Mapping[str, Any]], target: Mapping[str, Any], *, of: str = "kl") -> Curve:
    """The held-out excess along one training, by exact next-token expectations (`kl`) or sampled tokens (`excess`)."""
    values = np.array([reading[of] for reading in readings], dtype=np.float64)
    steps = tuple(int(reading["step"]) for reading in readings)
    return Curve(steps, values, np.asarray(target["tokens"], dtype=np.float64))


def curves(run: Run) -> dict[str, Curve]:
    """Every stored training's curve by its id."""
    by_cell: dict[str, list[dict[str, Any]]] = {}
    for reading in run.read("reading").values():
        by_cell.setdefault(reading["cell"], []).append(reading)
    targets, cells = run.read("target"), run.read("cell")
    return {name: curve_of(by_cell[name], targets[f"{body['seed']}/{body['target']}"]) for name, body in cells.items()}
