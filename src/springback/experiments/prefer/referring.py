"""The reference of a run: made once, stored in the run's directory, or kept in memory, as the loss and options say."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from springback.experiments.prefer.bench import Bench
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.order import Order
from springback.experiments.saving import Due
from springback.fit.checkpoint import remove
from springback.models.adapters import start_view
from springback.models.language_model import LanguageModel
from springback.models.pair_tokens import rows_sha256
from springback.parallel.group import Group
from springback.train.preference.method import Need
from springback.train.preference_step import Batch, Reference
from springback.train.reference import AdapterOff, NoReference, SecondModel, Stored, fill
from springback.train.reference_partial import Partial, keep, restored
from springback.train.reference_table import Places, Table, blank, load, require, save

FILE: Final = "reference.safetensors"
"""Name of the stored log-probabilities in a run's directory."""
PARTIAL: Final = "reference.partial"
"""Name of those that are there while they are computed."""
Counted = Callable[[Iterable[Batch]], Iterable[Batch]]
"""Passes batches through while they are computed."""


@dataclass(frozen=True, slots=True)
class Referring:
    """Where the loss of a run gets its reference from."""

    design: Design
    bench: Bench
    needs: AbstractSet[Need]
    order: Order
    folder: Path
    """The run's directory."""
    data_sha256: str

    def reference(self, counted: Counted = iter, group: Group | None = None) -> Reference:
        """RefusedError where stored ones were made for something else. `group`: the first process of several asks."""
        bench = self.bench
        if bench.way == "none":
            return NoReference()
        if bench.way == "adapter_off":
            return AdapterOff(bench.model.network)
        if bench.way == "model":
            return SecondModel(bench.second.network if bench.second else _copy(bench.model))
        weight = next(bench.model.network.parameters())
        accurate = torch.float32 if weight.device.type == "mps" else torch.float64
        like = torch.zeros((), dtype=accurate, device=weight.device)
        return Stored(self._table(counted, group), Places.of(bench.train), like)

    def require_fresh(self) -> None:
        """Refuse stored log-probabilities that were made for something else, before anything is written."""
        if self.design.reference_logprobs is not None:
            self._loaded(Path(self.design.reference_logprobs))

    def read_along(self, batches: int, group: Group) -> None:
        """A process that follows reads its rows of the batches behind so many; the first one keeps the table."""
        for _ in self._filled(None, self._batches()[batches:], group):
            pass

    def _table(self, counted: Counted, group: Group | None) -> Table:
        given, own = self.design.reference_logprobs, self.folder / FILE
        if given is not None or own.exists():
            return self._loaded(Path(given) if given is not None else own)
        table = self._computed(counted, group)
        blank(table, set(range(len(self.bench.train))) - self._read())
        save(own, table, self._facts())
        remove(self.folder / PARTIAL)
        return table

    def _computed(self, counted: Counted, group: Group | None) -> Table:
        """Goes on behind what was kept, and keeps what it has in turn."""
        path, facts, due = self.folder / PARTIAL, self._facts(), Due(self.design.checkpoint_seconds)
        begun = restored(path, self.bench.train, facts, by_token="tokens" in self.needs)
        if group is not None:
            group.say(("refer", begun.batches))
        filling, table = self._filled(begun.table, counted(self._batches()[begun.batches :]), group), begun.table
        for done, _ in enumerate(_worked(filling, due), start=begun.batches + 1):
            if due.now:
                with due.saving():
                    keep(path, Partial(table, done), facts)
        return table

    def _filled(self, table: Table | None, batches: Iterable[Batch], group: Group | None) -> Iterator[Table]:
        network = self.bench.second.network if self.bench.second else self.bench.model.network
        with start_view(network):
            yield from fill(network, self.bench.train, batches, self.needs, table=table, group=group)

    def _loaded(self, path: Path) -> Table:
        table = load(path, self.bench.train, self._facts(), by_token="tokens" in self.needs)
        require(path, table, self._read())
        return table

    def _read(self) -> set[int]:
        """Places of the rows that are trained on."""
        return {place for batch in self._batches() for place in batch.places}

    def _batches(self) -> Sequence[Batch]:
        """The first epoch's micro-batches: read in the company in which they are trained on, they agree to the bit."""
        rows = self.bench.train
        epoch = self.order.first_epoch(self.design.total(len(rows)))
        return [Batch(places, tuple(rows[place] for place in places)) for places in epoch]

    def _facts(self) -> dict[str, Any]:
        """What stored log-probabilities hold for."""
        bench = self.bench
        full = self.design.tuner == "full"
        return {
            "model_sha256": (bench.second or bench.model).weights_sha256,
            "template_sha256": bench.model.template_sha256,
            "data_sha256": self.data_sha256,
            "rows_sha256": rows_sha256(bench.train),
            "dtype": str(next(bench.model.network.parameters()).dtype if full else _base_type(bench)),
            "max_length": self.design.max_length,
        }


def _worked(filling: Iterator[Table], due: Due) -> Iterator[Table]:
    """The same, each batch counted as work that a kill would lose."""
    while True:
        with due.work():
            table = next(filling, None)
        if table is None:
            return
        yield table


def _copy(model: LanguageModel) -> Any:
    return copy.deepcopy(model.network).requires_grad_(False)  # noqa: FBT003


def _base_type(bench: Bench) -> torch.dtype:
    return next(each.dtype for name, each in bench.model.network.named_parameters() if ".lora_" not in name)
