"""A reference's table while it is computed: what stands in it is kept, and a killed run goes on behind it.

One checkpoint (`fit.checkpoint`: parts of 64 MiB, each with its sha256) holds the whole table, how many batches have
been through, and the facts that it holds for. Batches are the same whoever reads them, so the table that is ended
later is the one of an uninterrupted run, to the bit.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from springback.fit import checkpoint
from springback.models.pair_tokens import Item
from springback.train.reference_table import Table


class Partial(NamedTuple):
    """A table of which the first batches have been read."""

    table: Table
    batches: int


def keep(path: Path, found: Partial, facts: Mapping[str, Any]) -> None:
    """Make it durable, in the place of an older one."""
    checkpoint.save(path, found.table.tensors(), {"batches": found.batches, "for": dict(facts)})


def restored(path: Path, items: Sequence[Item], facts: Mapping[str, Any], *, by_token: bool) -> Partial:
    """What was kept for these rows and facts; an empty table where there is nothing, or it is torn or of others."""
    empty = Table.empty(items, by_token=by_token)
    found = checkpoint.load(path)
    if not isinstance(found, checkpoint.Checkpoint) or found.facts["for"] != dict(facts):
        return Partial(empty, 0)
    tensors = dict(found.tensors.items())
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {name: tensor.shape for name, tensor in empty.tensors().items()}:
        return Partial(empty, 0)
    return Partial(Table(items, tensors["logprob"], tensors.get("by_token")), found.facts["batches"])
