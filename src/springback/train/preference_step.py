"""One step of preference learning: log-probabilities, a loss of the family, a sum for the one loop of `fit`.

    forward (answers behind one prompt) → loss(policy, reference), one value a pair → Σ over the micro-batch → backward

The step's gradient is that of the mean over all pairs of the batch, however it is cut into micro-batches; only a loss
whose value for a pair depends on the others (`breaks` "each pair alone") is another one in another micro-batch.
Between loss and backward stands a cure of `train.cures`, or `Uncured`, which sums.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from springback.fit.loop import Summed
from springback.models.pair_tokens import Item
from springback.train.preference.method import Need
from springback.train.preference_logprobs import Logprobs, detached, joined, logprobs, sampled, tokens_of

SUPPLIED: frozenset[Need] = frozenset({
    "pairs", "lists", "labels", "reference", "moving_reference", "lengths", "tokens", "collision", "divergence",
    "statistics", "mismatched", "scores", "samples", "embeddings",
})  # fmt: skip
"""Needs that this step can meet."""
UNKNOWN: frozenset[Need] = frozenset({"pairs", "reference", "lengths", "tokens"})
"""What a callable is given that does not say what it needs."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one micro-batch with their places in the training set, by which a stored reference knows them."""

    places: tuple[int, ...]
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, part: slice) -> "Batch":
        return Batch(self.places[part], self.items[part])


@runtime_checkable
class Reference(Protocol):
    """Where log-probabilities of the reference come from; `train.reference` has the ways."""

    def __call__(self, batch: Batch, needs: AbstractSet[Need]) -> Logprobs | None:
        """Of the batch's answers, nats, without graph; None for a loss without a reference."""
        ...

    @property
    def network(self) -> nn.Module | None:
        """Whose distributions the need `divergence` compares with; None where none is in memory."""
        ...


class Taken(NamedTuple):
    """What a cure makes of a batch."""

    total: Float[Tensor, ""]
    """Its backward puts the step's gradients, as a sum over the batch, where they belong."""
    policy: Logprobs
    """Log-probabilities before the step."""


Read = Callable[[nn.Module, Sequence[Item]], Logprobs]
"""The log-probabilities of items with their graph."""
PairedLoss = Callable[[Any, Any], Tensor]
"""(policy, reference) -> one value an item."""


class Uncured:
    """What stands between the loss and the backward pass of a run, and what of it changes from step to step.

    This one sums the losses. `train.cures` has others: an object of a class below this one belongs to one run.
    """

    needs: AbstractSet[Need] = frozenset()
    """What it reads of the log-probabilities beyond what the loss does."""

    def __call__(
        self, network: nn.Module, batch: Batch, loss: PairedLoss, reference: Logprobs | None, read: Read
    ) -> Taken:
        """The step's total on one micro-batch."""
        policy = read(network, batch.items)
        return Taken(self.losses(batch, loss, policy, reference).sum(), policy)

    def losses(self, batch: Batch, loss: PairedLoss, policy: Logprobs, reference: Logprobs | None) -> Tensor:
        """One value an item."""
        del batch
        return loss(policy, reference)

    def prepare(self, network: nn.Module, items: Sequence[Item]) -> None:
        """Before the first step of a run, never when it goes on: look at all items and at the start's weights."""

    def advance(self) -> None:
        """The step has been taken."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back `tensors`."""

    def told(self) -> dict[str, Any]:
        """What the record of the step says about it: counts, mean weights."""
        return {}


@dataclass(slots=True)
class PreferenceStep:
    """A loss of micro-batches for `fit.loop`, with what changes from step to step."""

    method: Any
    """A member of the family, or any callable of (policy, reference)."""
    reference: Reference
    cure: Uncured = field(default_factory=Uncured)
    draw: Callable[[nn.Module, Batch, int], Batch] | None = None
    """Puts answers of the policy's own in the place of the chosen ones, given the step; None for most losses."""
    index: int = 0
    """Steps taken."""
    seen: list[tuple[Logprobs, Logprobs | None]] = field(default_factory=list)
    """Log-probabilities of this step's micro-batches, before it."""

    @property
    def needs(self) -> AbstractSet[Need]:
        return needs_of(self.method) | self.cure.needs

    def __call__(self, network: nn.Module, batch: Batch) -> Summed:
        """Σ of the losses in the loss's unit, the number of pairs, prompts or examples, and their answer tokens."""
        batch = batch if self.draw is None else self.draw(network, batch, self.index)
        given = self.reference(batch, self.needs)

        def read(network: nn.Module, items: Sequence[Item]) -> Logprobs:
            states = self.method.states if "embeddings" in self.needs else None
            return logprobs(network, items, self.needs, reference=self.reference.network, states=states)

        total, policy = self.cure(network, batch, self._loss, given, read)
        self.seen.append((detached(policy), given))
        return Summed(total, len(batch), tokens_of(batch.items))

    def _loss(self, policy: Logprobs, reference: Logprobs | None) -> Tensor:
        if "samples" in self.needs:
            return self.method(sampled(policy), None if reference is None else sampled(reference))
        return self.method(policy, reference)

    def advance(self) -> None:
        """The step has been taken: statistics go on by the whole batch."""
        if "statistics" in self.needs:
            policies, references = zip(*self.seen, strict=True)
            given = None if references[0] is None else joined(references)
            with torch.no_grad():
                self.method = self.method.after(joined(policies), given)
        self.seen.clear()
        self.cure.advance()
        self.index += 1

    def statistics(self) -> dict[str, Any]:
        """What a checkpoint must hold of the method: its fields, where they run."""
        running = "statistics" in self.needs
        return {each.name: getattr(self.method, each.name) for each in fields(self.method)} if running else {}

    def restore(self, index: int, statistics: dict[str, Any]) -> None:
        """Go on after so many steps with these `statistics`."""
        self.index = index
        if statistics:
            self.method = replace(self.method, **statistics)


def needs_of(method: Any) -> AbstractSet[Need]:
    """What a loss needs; of a callable that does not say so, what a loss of pairs may look at."""
    return frozenset(getattr(method, "needs", UNKNOWN))


def alone(method: Any) -> bool:
    """Whether a pair's loss does not depend on the other pairs of its batch; a callable is believed to be so."""
    return "each pair alone" not in getattr(method, "breaks", ())
