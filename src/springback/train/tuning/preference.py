"""A loss of the preference family as a way of tuning: towards each row, away from the other answer to its prompt.

`items.py` says what a loss of pairs, lists or labels takes from a row. The reference is the network as the chain finds
it: the start where a model is aligned, the aligned model where it is reversed. Its log-probabilities are computed once,
before the first step, for all rows of the chain; a loss that asks the reference about something new in every step
(distributions, mismatched answers, answers of the policy's own, a reference that moves) gets a frozen copy.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

import torch
from torch import nn

from springback import papers
from springback.fit.loop import Summed
from springback.models.pair_tokens import Item
from springback.models.rows import Row
from springback.train.drawn_answers import Drawn
from springback.train.preference_step import Batch, PreferenceStep, Reference, alone, needs_of
from springback.train.reference import NoReference, SecondModel, Stored, fill
from springback.train.reference_table import Places
from springback.train.tuning.items import items_of, places_of
from springback.train.tuning.method import TuningLoss
from springback.train.tuning.rollouts import Rollouts

AT_ONCE: Final = 8
"""Items that the reference reads in one pass."""
LIVE: Final = frozenset({"divergence", "mismatched", "samples", "moving_reference"})
"""Needs for which the reference is asked in every step."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Tunes towards each row and away from the other answer to its prompt, by a loss of the family."""

    paired: ClassVar = True
    """Rows are needed with the other answer to their prompt."""

    method: Any
    """A member of the family, or a callable of (policy, reference)."""
    samples: int = 4
    """Answers of the policy's own to each prompt, for a loss that looks at them."""
    rollouts: Rollouts | None = None
    """How those are drawn."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")

    @property
    def paper(self) -> papers.Paper:
        """The method's own."""
        return self.method.paper

    @property
    def writes(self) -> bool:
        """Whether answers are written in every step."""
        return "samples" in needs_of(self.method)

    @property
    def answers(self) -> int:
        """Answers that go through the network for each row."""
        return self.samples + 1 if self.writes else 2

    @property
    def copies(self) -> bool:
        """Whether a frozen copy of the network stays in memory."""
        return "reference" in needs_of(self.method) and bool(needs_of(self.method) & LIVE)

    @property
    def whole_batch(self) -> str:
        """Why a batch must not be split over processes; empty where it may."""
        needs = needs_of(self.method)
        if "statistics" in needs:
            return "keeps statistics of whole batches"
        if self.writes:
            return "draws answers, and another batch shape may draw others"
        if "mismatched" in needs or not alone(self.method):
            return "compares the rows of a whole batch"
        return ""

    def equipped(self, rollouts: Rollouts) -> "Preference":
        """The same loss, which may draw answers now."""
        return replace(self, rollouts=rollouts)

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del before
        needs = needs_of(self.method)
        each = [items_of(row, needs) for row in rows]
        items = tuple(item for own in each for item in own)
        step = PreferenceStep(self.method, _reference(network, items, self.method), draw=self._draw())
        return _Chain(step, items, {id(row): place for place, row in enumerate(rows)}, len(each[0]) if each else 1)

    def _draw(self) -> Drawn | None:
        if not self.writes:
            return None
        if self.rollouts is None:
            raise ValueError("this loss looks at answers of the policy's own: say how they are drawn (`equipped`)")
        return Drawn(self.samples, self.rollouts.max_new_tokens, self.rollouts.stop, self.rollouts.seed)


@dataclass(slots=True)
class _Chain:
    """The loss of a chain, with what changes from step to step."""

    step: PreferenceStep
    items: tuple[Item, ...]
    places: dict[int, int]
    """Place of each row, by its identity: rows that compare equal may have other partners."""
    each: int
    """Items a row."""

    def __call__(self, network: nn.Module, batch: Sequence[Row]) -> Summed:
        self._move_reference(network)
        at = places_of([self.places[id(row)] for row in batch], self.each)
        found = self.step(network, Batch(at, tuple(self.items[place] for place in at)))
        self.step.advance()
        return found

    def _move_reference(self, network: nn.Module) -> None:
        """After every so many steps, which are taken between two calls."""
        second, method = self.step.reference, self.step.method
        if not isinstance(second, SecondModel) or "moving_reference" not in self.step.needs:
            return
        if self.step.index and self.step.index % method.every == 0:
            second.follow(network, method.alpha)


def _reference(network: nn.Module, items: tuple[Item, ...], method: Any) -> Reference:
    needs = needs_of(method)
    if "reference" not in needs:
        return NoReference()
    if needs & LIVE:  # asked in every step
        return SecondModel(copy.deepcopy(network).requires_grad_(False))  # noqa: FBT003
    part = partial(_part, items)
    *_, table = fill(network, items, map(part, range(0, len(items), AT_ONCE)), needs)
    weight = next(network.parameters())
    accurate = torch.float32 if weight.device.type == "mps" else torch.float64
    return Stored(table, Places.of(items), torch.zeros((), dtype=accurate, device=weight.device))


def _part(items: tuple[Item, ...], first: int) -> Batch:
    places = range(len(items))[first : first + AT_ONCE]
    return Batch(tuple(places), items[places.start : places.stop])
