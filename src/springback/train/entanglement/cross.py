"""Inner products among all answers of a batch: what one pair's step does to every other pair."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from springback.models.rows import RowPair
from springback.tensors.inner_product import inner_product
from springback.train.entanglement.counted import counted
from springback.train.entanglement.ghost import measured
from springback.train.entanglement.lines import UnknownModuleError
from springback.train.entanglement.plain import gradient
from springback.train.entanglement.stretches import Stretch, refuse_unreadable
from springback.train.entanglement.trial import known

Gram = Float64[Tensor, "answer answer"]


@dataclass(frozen=True, slots=True)
class CrossGram:
    """Answers in the order of `conditions.batch_changes`: all chosen ones, then all rejected ones."""

    parts: Mapping[str, Gram]
    """By parameter name; they sum to the whole."""
    answers: int
    note: str | None
    """Why whole gradients were formed; None where they were not."""

    @property
    def whole(self) -> Gram:
        return sum(self.parts.values(), torch.zeros(self.answers, self.answers, dtype=torch.float64))


def cross_products(
    network: nn.Module, pairs: Sequence[RowPair], *, parameters: Collection[str] | None = None
) -> CrossGram:
    """⟨g_i, g_j⟩ of all 2N answers of N pairs in one pass; `parameters` as in `inner_products`.

    Memory beside one pass over all 2N rows: a gradient of the largest layer for each answer (2N × 0.9 M numbers for
    SmolLM2-135M), and the logits of all answer tokens. Where a module is not known: all 2N whole gradients, 8N bytes a
    parameter in float32.
    """
    refuse_unreadable(network, [(pair.chosen, pair.rejected) for pair in pairs])
    names = counted(network, parameters)
    rows = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    stretches = {index: Stretch(row) for index, row in enumerate(rows) if row.answer}
    facts = known(network, names)
    why = facts.why
    if why is None and stretches:
        try:
            tables, _ = measured(network, list(stretches.values()), [range(len(stretches))], facts)
            found = {name: _spread(table, list(stretches), len(rows)) for name, (table,) in tables.found.items()}
            return CrossGram(found, len(rows), None)
        except UnknownModuleError as unknown:
            why = str(unknown)
    return CrossGram(
        _plain(network, stretches, names, len(rows)), len(rows), why and f"All gradients in memory: {why}."
    )


def _spread(table: Tensor, places: Sequence[int], answers: int) -> Gram:
    """Zeros for the empty answers."""
    whole = torch.zeros(answers, answers, dtype=torch.float64)
    at = torch.tensor(places)
    whole[at[:, None], at] = table
    return whole


def _plain(
    network: nn.Module, stretches: Mapping[int, Stretch], names: Collection[str], answers: int
) -> dict[str, Gram]:
    tensors = {index: gradient(network, stretch, names).tensors for index, stretch in stretches.items()}
    found = {name: torch.zeros(answers, answers, dtype=torch.float64) for name in names}
    for name, table in found.items():
        having = [index for index in tensors if name in tensors[index]]
        for one in having:
            for other in having:
                table[one, other] = inner_product(tensors[one][name], tensors[other][name])
    return found
