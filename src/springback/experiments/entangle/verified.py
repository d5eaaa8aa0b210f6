"""Predicted against measured: real steps, each from the same weights, on a batch and on pairs it does not hold.

directional   ⟨g_i, Δθ⟩ for the Δθ that the step really took: any optimiser, clipping and decay included
gradient      lr · scale · ⟨g_i, −∇L⟩ over the whole batch, in the run's inner product: the Euclidean one is right for
              plain descent, Adam's for the AdamW step whose second moments it is of
own pair      the part of it that is the pair's own; it ignores the rest of the batch

Where the run's inner product is Adam's, the last two stand in the Euclidean one too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from springback.experiments.entangle import descent, measuring, pair_record, pulls
from springback.models.rows import Row, RowPair
from springback.train.entanglement import Weights, inner_products
from springback.train.entanglement.directional import Delta
from springback.train.entanglement.preconditioner import under
from springback.train.entanglement.tables import Metric
from springback.train.preference.pairs import PairLogprobs

if TYPE_CHECKING:
    from springback.experiments.entangle.laboratory import ModelLaboratory
    from springback.experiments.entangle.walk import Reference

ROUNDING = 3.0
"""The noise floor, in units of the largest difference between two ways of reading the same log-probabilities."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is read of a batch once, before its steps."""

    batch: Sequence[int]
    held_out: Sequence[int]
    pairs: list[RowPair]
    """Those of the batch, then the held-out ones."""
    probes: dict[tuple[int, str], Row]
    reference: PairLogprobs
    before: list[float]
    floor: float
    by: Mapping[str, tuple[list[float], list[float]]]
    """By inner product, the run's under "": ⟨g_i, −∇L⟩ of every answer, and the same without the rest of the batch, for
    the batch's answers only."""


def start(
    lab: "ModelLaboratory", batch: Sequence[int], held_out: Sequence[int], reference: "Reference | None"
) -> Start:
    """Everything about the weights as they are."""
    pairs = [lab.loaded.pairs[index] for index in (*batch, *held_out)]
    rows = pairs[: len(batch)]
    policy = measuring.logprobs(lab.network, rows, collision=lab.asked.collision)
    beside = pulls.given(policy, reference)
    weights = pulls.pulls(lab.asked.loss, policy, beside)
    before = _read(lab, pairs)
    apart = measuring.alone(lab.network, measuring.both(pairs))
    downhill = measuring.direction(lab.network, rows, weights)
    metric = lab.metric.of(downhill, scale=_clipped(lab, descent.length(downhill)))
    kinds: dict[str, Metric | None] = {"": metric} | ({"_euclidean": None} if metric is not None else {})
    by = {name: _predicted(lab, pairs, len(rows), weights, downhill, kind) for name, kind in kinds.items()}
    return Start(
        batch, held_out, pairs, _probes(lab, batch), beside, before,
        floor=ROUNDING * max(abs(one - other) for one, other in zip(before, apart, strict=True)),
        by=by,
    )  # fmt: skip


def _predicted(
    lab: "ModelLaboratory", pairs: list[RowPair], size: int, weights: Weights, downhill: Delta, metric: Metric | None
) -> tuple[list[float], list[float]]:
    found = inner_products(lab.network, pairs[:size], method=lab.config.method, metric=metric)
    own = [change / size for body in pair_record.bodies(found.pairs, weights)
           for change in (body["chosen_change"], body["rejected_change"])]  # fmt: skip
    return measuring.along(lab.network, measuring.both(pairs), under(metric, downhill)), own


def step(lab: "ModelLaboratory", of: Start, rate: float) -> dict[str, Any]:
    """Body of a `step` record, but for the batch's number. The weights are put back bit for bit."""
    probes = list(of.probes.values())
    with descent.put_back(lab.network) as before:
        probes_before = measuring.alone(lab.network, probes)
        done = _step(lab, of, rate)
        delta = descent.moved(lab.network, before)
        after, probes_after = _read(lab, of.pairs), measuring.alone(lab.network, probes)
    predicted = measuring.along(lab.network, [*measuring.both(of.pairs), *probes], delta)
    scale = rate * _clipped(lab, done.gradient_norm)
    measured = [late - early for late, early in zip(after, of.before, strict=True)]
    followed = [late - early for late, early in zip(probes_after, probes_before, strict=True)]
    return {
        "rate": rate, "floor": of.floor, "gradient_norm": done.gradient_norm, "scale": scale,
        "update_norm": descent.length(delta), "loss": done.loss,
        "pairs": _pairs(of, measured, predicted, scale),
        "probes": [
            {"index": index, "probe": name, "predicted": expected, "measured": change}
            for (index, name), expected, change in zip(of.probes, predicted[len(measured) :], followed, strict=True)
        ],
    }  # fmt: skip


def _step(lab: "ModelLaboratory", of: Start, rate: float) -> Any:
    placed = list(enumerate(of.pairs[: len(of.batch)]))
    loss = measuring.real_loss(lab.network, lab.asked.loss, of.reference, collision=lab.asked.collision)
    pieces = list(measuring.parts(placed)) if lab.asked.alone else [placed]
    return descent.step(lab.network, loss, pieces, lab.config, rate, lab.metric.begun)


def _clipped(lab: "ModelLaboratory", norm: float) -> float:
    """What clipping multiplies the gradient with."""
    return min(1.0, (lab.config.clip or inf) / norm if norm else 1.0)


def _pairs(of: Start, measured: Sequence[float], predicted: Sequence[float], scale: float) -> list[dict[str, Any]]:
    indices = (*of.batch, *of.held_out)
    return [
        {
            "index": index, "held_out": place >= len(of.batch),
            "measured": _two(measured, place), "directional": _two(predicted, place),
            **_of_products(of, place, scale),
        }
        for place, index in enumerate(indices)
    ]  # fmt: skip


def _of_products(of: Start, place: int, scale: float) -> dict[str, Any]:
    """What inner products predict: `gradient` and `own`, and both again with the name of another inner product."""
    told: dict[str, Any] = {}
    for name, (gradient, own) in of.by.items():
        told[f"gradient{name}"] = [scale * value for value in _two(gradient, place)]
        told[f"own{name}"] = [scale * value for value in _two(own, place)] if place < len(of.batch) else None
    return told


def _two(values: Sequence[float], place: int) -> list[float]:
    return [values[2 * place], values[2 * place + 1]]


def _read(lab: "ModelLaboratory", pairs: Sequence[RowPair]) -> list[float]:
    found = measuring.logprobs(lab.network, pairs)
    return [value for both in zip(found.chosen.tolist(), found.rejected.tolist(), strict=True) for value in both]


def _probes(lab: "ModelLaboratory", batch: Sequence[int]) -> dict[tuple[int, str], Row]:
    followed = [index for index in batch if index < lab.config.probes]
    return {(index, name): row for index in followed for name, row in lab.probes_of(index).by_name.items()}
