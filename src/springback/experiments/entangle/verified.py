"""Predicted against measured: real steps, each from the same weights, on a batch and on pairs it does not hold.

directional   ⟨g_i, Δθ⟩ for the Δθ that the step really took: any optimiser, clipping and decay included
gradient      lr · scale · ⟨g_i, −∇L⟩ over the whole batch, in the Euclidean inner product: right for plain descent
own pair      the part of it that is the pair's own; it ignores the rest of the batch
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from springback.experiments.entangle import descent, measuring, pair_record, pulls
from springback.models.rows import Row, RowPair
from springback.train.entanglement import inner_products
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
    gradient: list[float]
    """⟨g_i, −∇L⟩ of every answer."""
    own: list[float]
    """The same without the rest of the batch; for the batch's answers only."""


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
    found = inner_products(lab.network, rows, method=lab.config.method)
    own = [change / len(rows) for body in pair_record.bodies(found.pairs, weights)
           for change in (body["chosen_change"], body["rejected_change"])]  # fmt: skip
    moved = measuring.direction(lab.network, rows, weights)
    return Start(
        batch, held_out, pairs, _probes(lab, batch), beside, before,
        floor=ROUNDING * max(abs(one - other) for one, other in zip(before, apart, strict=True)),
        gradient=measuring.along(lab.network, measuring.both(pairs), moved), own=own,
    )  # fmt: skip


def step(lab: "ModelLaboratory", of: Start, rate: float) -> dict[str, Any]:
    """Body of a `step` record, but for the batch's number. The weights are put back bit for bit."""
    probes = list(of.probes.values())
    with descent.put_back(lab.network) as before:
        probes_before = measuring.alone(lab.network, probes)
        done = _step(lab, of, rate)
        delta = descent.moved(lab.network, before)
        after, probes_after = _read(lab, of.pairs), measuring.alone(lab.network, probes)
    predicted = measuring.along(lab.network, [*measuring.both(of.pairs), *probes], delta)
    scale = rate * min(1.0, (lab.config.clip or inf) / done.gradient_norm if done.gradient_norm else 1.0)
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
    return descent.step(lab.network, loss, pieces, lab.config, rate)


def _pairs(of: Start, measured: Sequence[float], predicted: Sequence[float], scale: float) -> list[dict[str, Any]]:
    indices = (*of.batch, *of.held_out)
    return [
        {
            "index": index, "held_out": place >= len(of.batch),
            "measured": _two(measured, place), "directional": _two(predicted, place),
            "gradient": [scale * value for value in _two(of.gradient, place)],
            "own": [scale * value for value in _two(of.own, place)] if place < len(of.batch) else None,
        }
        for place, index in enumerate(indices)
    ]  # fmt: skip


def _two(values: Sequence[float], place: int) -> list[float]:
    return [values[2 * place], values[2 * place + 1]]


def _read(lab: "ModelLaboratory", pairs: Sequence[RowPair]) -> list[float]:
    found = measuring.logprobs(lab.network, pairs)
    return [value for both in zip(found.chosen.tolist(), found.rejected.tolist(), strict=True) for value in both]


def _probes(lab: "ModelLaboratory", batch: Sequence[int]) -> dict[tuple[int, str], Row]:
    followed = [index for index in batch if index < lab.config.probes]
    return {(index, name): row for index in followed for name, row in lab.probes_of(index).by_name.items()}
