"""What is said of a reward model on answers it was not trained on: one function from scores to figures. Torch-free."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from springback.experiments.reward.calibration import calibration
from springback.experiments.reward.heldout import HeldOut, held_out, per_row, share
from springback.experiments.reward.length import length_bias
from springback.stats.auc import auc
from springback.stats.measured import mean, unmeasured


def measures(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy, calibration, length bias, ties and the spread of scores, each with its interval."""
    held = held_out(bodies)
    pairs, over = held.ordered, held.over
    return {
        "accuracy": share(pairs.right, pairs.row, over=over, unit="share right").json(),
        "margin": per_row(pairs.difference, pairs.row, over=over, unit="score").json(),
        "best_first": _best_first(held),
        "calibration": calibration(held),
        "length": length_bias(held),
        "ties": _ties(held),
        "scores": _scores(held),
        "rows": len(held.rows), "pairs": len(pairs), "answers": sum(len(row["scores"]) for row in held.rows),
        "equal_scores": int((pairs.difference == 0).sum()),
    }  # fmt: skip


def brief(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy, log loss and margin alone: what is read along the way."""
    held = held_out(bodies)
    pairs, over = held.ordered, held.over
    loss = np.logaddexp(0.0, -pairs.difference)
    return {
        "accuracy": share(pairs.right, pairs.row, over=over, unit="share right").json(),
        "log_loss": per_row(loss, pairs.row, over=over, unit="nat/pair").json(),
        "margin": per_row(pairs.difference, pairs.row, over=over, unit="score").json(),
        "pairs": len(pairs),
    }


def _best_first(held: HeldOut) -> dict[str, Any]:
    """Share of prompts whose highest score is one of the best answers; of equal scores each counts its part."""
    if held.over == "pairs":
        return unmeasured("every prompt has two answers: this is the accuracy").json()
    parts = []
    for row in held.rows:
        top = np.asarray(row["scores"]) == max(row["scores"])
        best = np.asarray(row["relevance"]) == max(row["relevance"])
        parts.append(float((top & best).sum() / top.sum()))
    return share(np.array(parts), np.arange(len(parts)), over=held.over, unit="share of prompts").json()


def _ties(held: HeldOut) -> dict[str, Any]:
    """Whether answers that the data calls equal are nearer in score: the AUC of −|Δ| of ties over ordered pairs."""
    tied, ordered = np.abs(held.tied.difference), np.abs(held.ordered.difference)
    if not tied.size:
        why = unmeasured("the held-out data has no ties").json()
        return {"pairs": 0, "agreement": why, "apart": why}
    closeness = -np.concatenate([tied, ordered])
    label = [True] * tied.size + [False] * ordered.size
    return {
        "pairs": int(tied.size),
        "agreement": auc(closeness, label, over="pairs").json(),
        "apart": per_row(tied, held.tied.row, over=held.over, unit="score").json(),
    }


def _scores(held: HeldOut) -> dict[str, Any]:
    """Mean of the scores, over rows, and their standard deviation."""
    centres = [float(np.mean(row["scores"])) for row in held.rows]
    values = [value for row in held.rows for value in row["scores"]]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": mean(centres, over=held.over, unit="score").json(), "standard_deviation": spread}
