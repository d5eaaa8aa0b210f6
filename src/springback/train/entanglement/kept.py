"""A pass whose signals are kept, so that any combination of the answers' gradients can be made from it afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from springback.models.rows import RowPair
from springback.train.entanglement.gram import Grams, Products
from springback.train.entanglement.signals import lines_of, run
from springback.train.entanglement.stretches import Stretch
from springback.train.entanglement.tables import Metric, Tables
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.trial import Known
from springback.train.entanglement.uses import Use, weighted

PerAnswer = Float64[Tensor, " answer"]


@dataclass(slots=True)
class Kept:
    """Uses by parameter; answers are numbered chosen, rejected, chosen, rejected …, empty ones have no line."""

    tables: Tables
    lines: dict[int, int]
    logprobs: PerAnswer
    """Log π of all answers, nats; 0 for an empty one."""
    uses: dict[str, list[Use]] = field(default_factory=dict)

    def take(self, tape: Tape, name: str, use: Use) -> None:
        """Keep it, and multiply it with what there is."""
        self.uses.setdefault(name, []).append(use)
        self.tables.take(tape, name, use)

    def grams(self) -> Grams:
        """Of every pair; products with an empty answer are 0."""
        whole = [torch.stack(tables).sum(dim=0) for tables in zip(*self.tables.found.values(), strict=True)]
        places = {line: (g, k) for g, group in enumerate(self.tables.groups) for k, line in enumerate(group)}

        def product(one: int, other: int) -> float:
            if one not in self.lines or other not in self.lines or not whole:
                return 0.0
            (group, row), (_, column) = places[self.lines[one]], places[self.lines[other]]
            return float(whole[group][row, column])

        answers = range(0, len(self.logprobs), 2)
        return Grams.of([Products(product(w, w), product(w + 1, w + 1), product(w, w + 1)) for w in answers])

    def gradients(self, network: nn.Module, names: Sequence[str], coefficients: PerAnswer) -> list[Tensor | None]:
        """Σ coefficient · gradient of every parameter; what was kept of it is forgotten."""
        by_line = coefficients[list(self.lines)]
        return [self._gradient(name, network.get_parameter(name), by_line) for name in names]

    def _gradient(self, name: str, parameter: nn.Parameter, coefficients: Tensor) -> Tensor | None:
        parts = [weighted(use, coefficients, parameter, self.tables.groups) for use in self.uses.pop(name, [])]
        for part in parts[1:]:
            parts[0] += part
        return parts[0] if parts else None


def kept(network: nn.Module, pairs: Sequence[RowPair], known: Known, metric: Metric | None) -> Kept:
    """One forward pass and one backward pass over activations; `UnknownModuleError` as in `ghost`."""
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    lines = {answer: line for line, answer in enumerate(answer for answer, row in enumerate(rows) if row.answer)}
    groups = [[lines[a] for a in (w, w + 1) if a in lines] for w in range(0, len(rows), 2)]
    stretches = [Stretch(rows[answer]) for answer in lines]
    found = Kept(Tables([group for group in groups if group], metric), lines, torch.zeros(len(rows)).double())
    if lines:
        there = lines_of(network, stretches)
        tape = Tape(known.owners, known.kinds, there, lambda name, use: found.take(tape, name, use))
        found.logprobs[list(lines)] = run(network, tape, known.head, found.tables.groups)
    return found
