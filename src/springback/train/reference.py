"""Where the reference's log-probabilities come from: stored, the adapter switched off, a second network, or nowhere.

Whichever it is, the network reads in evaluation mode and without gradient, by the same function as the policy. Where
reference and policy go the same way (the same rows in one batch, the same weights), they agree to the bit, so the first
step's loss is exactly the loss at the reference. Rows in other company, or of another length of padding, agree within
rounding: 1e-5 nats a token in float32.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from springback.models.adapters import start_view
from springback.models.pair_tokens import Item
from springback.models.readout import quiet
from springback.parallel.group import Group
from springback.train.preference.method import Need
from springback.train.preference_logprobs import Logprobs, detached, logprobs
from springback.train.preference_step import Batch
from springback.train.reference_table import Places, Table, gathered, put


@dataclass(frozen=True, slots=True)
class NoReference:
    """For a loss that looks at none."""

    network: None = None

    def __call__(self, batch: Batch, needs: AbstractSet[Need]) -> None:
        del batch, needs


@dataclass(frozen=True, slots=True)
class Stored:
    """Computed once and looked up by place."""

    table: Table
    places: Places
    like: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    """Device and type that the loss computes in."""
    network: None = None

    def __call__(self, batch: Batch, needs: AbstractSet[Need]) -> Logprobs:
        return gathered(self.table, self.places, batch.places, needs, self.like)


@dataclass(frozen=True, slots=True)
class AdapterOff:
    """The policy's own network without its adapter: no second copy."""

    network: nn.Module

    def __call__(self, batch: Batch, needs: AbstractSet[Need]) -> Logprobs:
        with start_view(self.network):
            return read(self.network, batch, needs)


@dataclass(frozen=True, slots=True)
class SecondModel:
    """A network of its own beside the policy."""

    network: nn.Module

    def __call__(self, batch: Batch, needs: AbstractSet[Need]) -> Logprobs:
        return read(self.network, batch, needs)

    @torch.no_grad()
    def follow(self, policy: nn.Module, share: float) -> None:
        """θ_ref ← share·θ + (1 − share)·θ_ref (TR-DPO, Gorbatovski et al., 2024), by the weights' names."""
        moved = dict(policy.named_parameters())
        for name, weight in self.network.named_parameters():
            weight.lerp_(moved[name].detach().to(weight), share)


def read(network: nn.Module, batch: Batch, needs: AbstractSet[Need]) -> Logprobs:
    """Log-probabilities of a batch under a network that is no policy: no graph, no dropout, nothing compared."""
    with quiet(network):
        return detached(logprobs(network, batch.items, needs - {"divergence", "collision"}))


def fill(
    network: nn.Module,
    items: Sequence[Item],
    batches: Iterable[Batch],
    needs: AbstractSet[Need],
    *,
    table: Table | None = None,
    group: Group | None = None,
) -> Iterator[Table]:
    """Compute the table of all rows, yielding it after every batch; it is whole when the batches have been through.

    `table`: one in which other batches stand already; 0 at these. `group`: every process reads the rows that it trains
    on, and each table is the whole one.
    """
    table, places = table or Table.empty(items, by_token="tokens" in needs), Places.of(items)
    for batch in batches:
        own = batch if group is None else batch[group.world.rank :: group.world.size]
        if own.items:
            put(table, places, own.places, read(network, own, needs))
        if group is not None:
            _add_up(table, places, batch.places, group)
        yield table


def _add_up(table: Table, places: Places, batch: Sequence[int], group: Group) -> None:
    """What each process has put at its rows of the batch; 0 at all others."""
    for values, starts in ((table.logprob, places.answers), (table.by_token, places.tokens)):
        if values is not None:
            at = torch.cat([torch.arange(starts[place], starts[place + 1]) for place in batch])
            part = values[at]
            group.add_(part)
            values[at] = part
