"""A loss of the preference family as a way of tuning: each row is chosen, the other answer to its prompt is rejected.

The reference is the network as the chain finds it: the start where a model is aligned, the aligned model where it is
reversed. Its log-probabilities are computed once, before the first step, for all rows of the chain; a loss that
compares whole distributions gets a frozen copy. Rows must carry their other answer.

What it does not do: losses of lists, labels or samples, and a reference that moves (`springback prefer` does).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from springback import papers
from springback.fit.loop import Summed
from springback.models.rows import Row, RowPair
from springback.train.preference_step import Batch, PreferenceStep, Reference, needs_of
from springback.train.reference import NoReference, SecondModel, Stored, fill
from springback.train.reference_table import Places
from springback.train.tuning.method import TuningLoss

AT_ONCE = 8
"""Pairs that the reference reads in one pass."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Tunes towards each row and away from the other answer to its prompt, by a loss of the family."""

    paired: ClassVar = True
    """Rows are needed with the other answer to their prompt."""

    method: Any
    """A member of the family, or a callable of (policy, reference)."""

    @property
    def paper(self) -> papers.Paper:
        """The method's own."""
        return self.method.paper

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del before
        places = {id(row): place for place, row in enumerate(rows)}
        pairs = tuple(pair_of(row) for row in rows)
        step = PreferenceStep(self.method, _reference(network, pairs, self.method))

        def loss(network: nn.Module, batch: Sequence[Row]) -> Summed:
            at = tuple(places[id(row)] for row in batch)
            found = step(network, Batch(at, tuple(pairs[place] for place in at)))
            step.advance()
            return found

        return loss


def pair_of(row: Row) -> RowPair:
    """The row as chosen, its other answer as rejected; ValueError where it came without one."""
    if row.other is None:
        raise ValueError("a preference loss needs the other answer to each row's prompt, and this row came without")
    return RowPair(row, row.other)


def _reference(network: nn.Module, pairs: tuple[RowPair, ...], method: Any) -> Reference:
    needs = needs_of(method)
    if "reference" not in needs:
        return NoReference()
    if "divergence" in needs:
        return SecondModel(copy.deepcopy(network).requires_grad_(False))  # noqa: FBT003
    parts = [range(len(pairs))[first : first + AT_ONCE] for first in range(0, len(pairs), AT_ONCE)]
    batches = [Batch(tuple(part), pairs[part.start : part.stop]) for part in parts]
    *_, table = fill(network, pairs, batches, needs)
    return Stored(table, Places.of(pairs))
