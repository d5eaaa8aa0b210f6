"""Inner products from activations and signals, without a gradient for each answer.

One forward pass and one backward pass over activations for a batch of pairs; each module's part of every product is
made when the signal reaches it. In float32 within 1e-5 of ‖g_i‖‖g_j‖ of two plain backward passes.

Memory beside the activations: for one layer at a time, (positions of a pair)² numbers, or a gradient of that layer for
each of a pair's answers, whichever is cheaper to compute; and one pair's logits at the predicting positions.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from springback.models.rows import RowPair, batches
from springback.train.entanglement.assemble import pair_gram
from springback.train.entanglement.gram import PairGram
from springback.train.entanglement.signals import lines_of, run
from springback.train.entanglement.stretches import Stretch, Triple, triple
from springback.train.entanglement.tables import Metric, Tables
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.trial import Known

BATCH_TOKENS = 1024
"""Input tokens that go through the network at once, of whole pairs; a longer pair goes alone. Memory, not results."""


def ghost_products(
    network: nn.Module, pairs: Sequence[RowPair], known: Known, *, metric: Metric | None = None
) -> list[PairGram]:
    """The inner products of every pair; raises `UnknownModuleError` where a module is called in a way not tried."""
    cuts = [triple(pair) for pair in pairs]
    empty = [index for index, cut in enumerate(cuts) if not cut.stretches]
    found = {index: pair_gram(pairs[index], cuts[index], {}, []) for index in empty}
    for batch in _batches({index: cut for index, cut in enumerate(cuts) if cut.stretches}):
        stretches = [stretch for index in batch for stretch in cuts[index].stretches]
        groups = list(_groups([len(cuts[index].stretches) for index in batch]))
        tables, logprobs = measured(network, stretches, groups, known, metric=metric)
        for place, (index, group) in enumerate(zip(batch, groups, strict=True)):
            parts = {name: each[place] for name, each in tables.found.items()}
            found[index] = pair_gram(pairs[index], cuts[index], parts, [float(logprobs[line]) for line in group])
    return [found[index] for index in range(len(pairs))]


def measured(
    network: nn.Module,
    stretches: Sequence[Stretch],
    groups: Sequence[Sequence[int]],
    known: Known,
    *,
    metric: Metric | None = None,
) -> tuple[Tables, torch.Tensor]:
    """Tables of all inner products within each group of lines, and every line's log π in nats."""
    tables = Tables(groups, metric)
    tape = Tape(known.owners, known.kinds, lines_of(network, stretches), tables.take)
    return tables, run(network, tape, known.head, tables.groups)


def _groups(sizes: Sequence[int]) -> Iterator[range]:
    start = 0
    for size in sizes:
        yield range(start, start + size)
        start += size


def _batches(cuts: Mapping[int, Triple]) -> Iterator[list[int]]:
    """Pairs of similar length together, none cut in two."""
    numbers = list(cuts)
    for batch in batches([sum(len(s.inputs) for s in each.stretches) for each in cuts.values()], tokens=BATCH_TOKENS):
        yield [numbers[place] for place in batch]
