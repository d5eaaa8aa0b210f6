"""What a step does to an answer, to first order: ⟨∇log π_i, Δθ⟩ for the Δθ that was really taken.

Right for any optimiser: clipping, momentum, preconditioning and decay are in Δθ. All sequences of a batch in one
forward pass and one backward pass over activations; for a matrix, Σ_t signal_tᵀ ΔW x_t. The error is of second order
in Δθ; on a log-linear model the measured change is never above the predicted one (log π is concave there).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from springback.models.rows import Row, batches
from springback.tensors.inner_product import inner_product
from springback.train.entanglement.ghost import BATCH_TOKENS
from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.padding_row import whole_derivative
from springback.train.entanglement.plain import gradient
from springback.train.entanglement.signals import lines_of, run
from springback.train.entanglement.stretches import Stretch, accurate, refuse_unreadable
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.trial import Known, known
from springback.train.entanglement.uses import Use, along

PerRow = Float64[Tensor, " row"]
Delta = Mapping[str, Tensor]
"""θ_after − θ_before by parameter name; parameters that are not named did not move."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predicted changes of log π, nats."""

    parts: Mapping[str, PerRow]
    """By parameter name; they sum to the whole."""
    rows: int
    note: str | None
    """Why whole gradients were formed; None where they were not."""

    @property
    def whole(self) -> PerRow:
        return sum(self.parts.values(), torch.zeros(self.rows, dtype=torch.float64))


def directional(network: nn.Module, rows: Sequence[Row], delta: Delta) -> PerRow:
    """⟨∇log π_i, Δθ⟩ of every row's answer, nats; 0 for an empty answer. The network stands before the step."""
    return directional_by_parameter(network, rows, delta).whole


def directional_by_parameter(network: nn.Module, rows: Sequence[Row], delta: Delta) -> Predicted:
    """The same with its parts by parameter.

    `ValueError` where Δθ names no parameter, or has another shape. Where a module is not known, one whole backward pass
    a row, and the note says so.
    """
    refuse_unreadable(network, [(row, row) for row in rows])
    _check(network, delta)
    stretches = {index: Stretch(row) for index, row in enumerate(rows) if row.answer}
    facts = known(network, list(delta))
    with whole_derivative(network):
        note = facts.why
        if note is None:
            try:
                return Predicted(_quick(network, stretches, delta, facts, len(rows)), len(rows), None)
            except UnknownModuleError as unknown:
                note = str(unknown)
        parts = _plain(network, stretches, delta, len(rows))
    return Predicted(parts, len(rows), f"Whole backward passes, one an answer: {note}.")


def _quick(
    network: nn.Module, stretches: Mapping[int, Stretch], delta: Delta, facts: Known, rows: int
) -> dict[str, PerRow]:
    found: dict[str, PerRow] = defaultdict(lambda: torch.zeros(rows, dtype=torch.float64))
    numbers = list(stretches)
    for batch in batches([len(s.inputs) for s in stretches.values()], tokens=BATCH_TOKENS):
        chosen = [numbers[place] for place in batch]

        def take(_: Tape, name: str, use: Use, chosen: Sequence[int] = chosen) -> None:
            for line in use.lines:
                found[name][chosen[line]] += along(use, line, accurate(delta[name]))

        tape = Tape(facts.owners, facts.kinds, lines_of(network, [stretches[index] for index in chosen]), take)
        run(network, tape, facts.head, [[line] for line in range(len(chosen))])
    return dict(found)


def _plain(network: nn.Module, stretches: Mapping[int, Stretch], delta: Delta, rows: int) -> dict[str, PerRow]:
    found = {name: torch.zeros(rows, dtype=torch.float64) for name in delta}
    for index, stretch in stretches.items():
        for name, tensor in gradient(network, stretch, list(delta)).tensors.items():
            found[name][index] = inner_product(tensor, delta[name])
    return found


def _check(network: nn.Module, delta: Delta) -> None:
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    wrong = [name for name, tensor in delta.items() if shapes.get(name) != tensor.shape]
    if wrong or not delta:
        raise ValueError(f"Δθ names parameters and has their shapes (a tied tensor by its first name): {wrong[:3]}")
