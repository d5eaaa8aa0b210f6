"""A pass whose signals are kept, so that any combination of the answers' gradients can be made from it afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from springback.models.rows import RowPair
from springback.train.entanglement.combine import weighted
from springback.train.entanglement.gram import Grams, Products
from springback.train.entanglement.signals import lines_of, run
from springback.train.entanglement.stretches import Stretch
from springback.train.entanglement.tables import Metric, Tables
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.trial import Known
from springback.train.entanglement.uses import Use

PerAnswer = Float64[Tensor, " answer"]


@dataclass(slots=True)
class Kept:
    """Uses by parameter; answers are numbered chosen, rejected, chosen, rejected …, empty ones have no line."""

    tables: Tables
    lines: dict[int, int]
    together: list[list[int]]
    """Lines of each pair."""
    logprobs: PerAnswer
    """Log π of all answers, nats; 0 for an empty one."""
    uses: dict[str, list[Use]] = field(default_factory=dict)

    def take(self, tape: Tape, name: str, use: Use) -> None:
        """Keep it, and multiply it with what there is."""
        self.uses.setdefault(name, []).append(use)
        self.tables.take(tape, name, use)

    def grams(self, pairs: Sequence[RowPair]) -> Grams:
        """Of every pair; products with an empty answer are 0, those that were not made NaN."""
        whole = [torch.stack(tables).sum(dim=0) for tables in zip(*self.tables.found.values(), strict=True)]
        places = {line: (g, k) for g, group in enumerate(self.tables.groups) for k, line in enumerate(group)}

        def product(one: int, other: int) -> float:
            if one not in self.lines or other not in self.lines or not whole:
                return 0.0
            (group, row), (also, column) = places[self.lines[one]], places[self.lines[other]]
            return float(whole[group][row, column]) if group == also else nan

        def inner(number: int, pair: RowPair) -> float:
            one = 2 * number if pair.chosen.answer == pair.rejected.answer else 2 * number + 1
            return product(2 * number, one)

        return Grams.of([
            Products(product(2 * number, 2 * number), product(2 * number + 1, 2 * number + 1), inner(number, pair))
            for number, pair in enumerate(pairs)
        ])  # fmt: skip

    def gradients(self, network: nn.Module, names: Sequence[str], coefficients: PerAnswer) -> list[Tensor | None]:
        """Σ coefficient · gradient of every parameter; what was kept of it is forgotten."""
        by_line = coefficients[list(self.lines)]
        return [self._gradient(name, network.get_parameter(name), by_line) for name in names]

    def _gradient(self, name: str, parameter: nn.Parameter, coefficients: Tensor) -> Tensor | None:
        parts = [weighted(use, coefficients, parameter, self.together) for use in self.uses.pop(name, [])]
        for part in parts[1:]:
            parts[0] += part
        return parts[0] if parts else None


def kept(network: nn.Module, pairs: Sequence[RowPair], known: Known, metric: Metric | None, *, inner: bool) -> Kept:
    """One forward pass and one backward pass over activations; `UnknownModuleError` as in `ghost`.

    `inner`: whether the products of a pair's two answers are made, beside their squares.
    """
    rows = [row for pair in pairs for row in (pair.chosen, pair.rejected)]
    lines = {answer: line for line, answer in enumerate(answer for answer, row in enumerate(rows) if row.answer)}
    together = [[lines[a] for a in (w, w + 1) if a in lines] for w in range(0, len(rows), 2)]
    together = [group for group in together if group]
    groups = together if inner else [[line] for line in lines.values()]
    stretches = [Stretch(rows[answer]) for answer in lines]
    found = Kept(Tables(groups, metric), lines, together, torch.zeros(len(rows)).double())
    if lines:
        there = lines_of(network, stretches)
        tape = Tape(known.owners, known.kinds, there, found.take)
        found.logprobs[list(lines)] = run(network, tape, known.head, found.tables.groups)
    return found
