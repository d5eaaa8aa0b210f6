"""The numbers that a filter looks at, measured on the start batch by batch; a killed run goes on at the batch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from springback.errors import RefusedError
from springback.experiments.audit.progress import Progress
from springback.experiments.entangle import measuring, pulls
from springback.experiments.prefer.bench import Bench
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.filters import Filter, Kept, filter_named
from springback.models.rows import RowPair
from springback.store.run import Run
from springback.train.entanglement import inner_products
from springback.train.entanglement.conditions import own_changes
from springback.train.entanglement.gram import Grams
from springback.train.entanglement.scores import scores

STORED = "filter"
"""Kind of the records: one a pair, by its place among the rows that fit."""


def filtered(run: Run, design: Design, ready: Bench, method: Any, progress: Progress) -> Bench:
    """The bench with the pairs that pass. Stores what was measured of every pair, and the ledger.

    RefusedError where none is left.
    """
    if design.filter is None:
        return ready
    asked = filter_named(design.filter)
    for first in range(0, len(ready.train), design.batch):
        if run.get(STORED, str(first)) is None:
            _batch(run, design, ready, method, progress, range(first, min(first + design.batch, len(ready.train))))
    return kept(ready, _judged(run, asked, ready).places)


def kept(ready: Bench, places: Sequence[int]) -> Bench:
    """The bench with these pairs only."""
    train, wheres = ([column[place] for place in places] for column in (ready.train, ready.wheres))
    return replace(ready, train=tuple(train), wheres=tuple(wheres), places=tuple(places))


def _judged(run: Run, asked: Filter, ready: Bench) -> Kept:
    found = asked.judge([run.get(STORED, str(place)) or {} for place in range(len(ready.train))])
    if run.get("ledger", "filtered") is None:
        run.append("ledger", "filtered", found.ledger.json())
    if not found.places:
        raise RefusedError(
            f"No pair is left to train on: {found.ledger.sentence()}.", kind="data", where="--filter",
            next="Take a share or another bound, another loss, or a cure instead of a filter.",
        )  # fmt: skip
    return found


def _batch(run: Run, design: Design, ready: Bench, method: Any, progress: Progress, places: range) -> None:
    began = time.monotonic()
    pairs = [item for place in places if isinstance(item := ready.train[place], RowPair)]
    assert design.filter is not None
    with progress.work("filter", label="filter", units=len(places) / design.batch):
        look = _ches if filter_named(design.filter).name == "ches" else _products
        found = look(ready, method, pairs)
    with run.together():
        for place, body in zip(places, found, strict=True):
            cost = {"seconds": time.monotonic() - began} if place == places[0] else None
            run.append(STORED, str(place), {"index": place, "where": ready.wheres[place], **body}, cost=cost)


def _ches(ready: Bench, method: Any, pairs: Sequence[RowPair]) -> list[Mapping[str, Any]]:
    del method
    return [{"ches": one.ches} for one in scores(ready.model.network, pairs)]


def _products(ready: Bench, method: Any, pairs: Sequence[RowPair]) -> list[Mapping[str, Any]]:
    """Inner products over what is trained, and the loss's two pushes at the start."""
    network, asked = ready.model.network, pulls.asked(method, named="--loss")
    policy = measuring.logprobs(network, pairs, collision=asked.collision)
    reference = measuring.logprobs(ready.second.network, pairs) if ready.second else policy
    weights = pulls.pulls(asked.loss, policy, reference)
    grams = Grams.of([pair.whole for pair in inner_products(network, pairs).pairs])
    columns = {"ww": grams.ww, "ll": grams.ll, "wl": grams.wl, "d_w": weights.chosen, "d_l": weights.rejected,
               "chosen_change": own_changes(grams, weights).chosen}  # fmt: skip
    return [{name: float(column[place]) for name, column in columns.items()} for place in range(len(pairs))]
