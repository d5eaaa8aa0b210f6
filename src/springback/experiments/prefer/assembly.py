"""What every process of a training puts together alike: bench, cure, order of rows, reference, step. Torch inside."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.errors import refused
from springback.experiments.prefer.bench import Bench
from springback.experiments.prefer.order import Order
from springback.experiments.prefer.preparing import Prepared
from springback.experiments.prefer.referring import Referring
from springback.models.tokens import stop_ids
from springback.train.drawn_answers import Drawn
from springback.train.preference.method import Need
from springback.train.preference_step import PreferenceStep, Reference, Uncured, needs_of


@dataclass(frozen=True, slots=True)
class Assembly:
    """A training without what is read of it."""

    prepared: Prepared
    bench: Bench
    cure: Uncured
    folder: Path
    """The run's directory."""

    @property
    def needs(self) -> AbstractSet[Need]:
        """Of the loss and of its cure."""
        return needs_of(self.prepared.method) | self.cure.needs

    @property
    def order(self) -> Order:
        design = self.prepared.design
        return Order(len(self.bench.train), design.batch, design.accumulate, design.epochs, design.seed)

    @property
    def referring(self) -> Referring:
        prepared = self.prepared
        return Referring(
            prepared.design, self.bench, self.needs, self.order, self.folder, prepared.sources.data.sha256
        )  # fmt: skip

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def step(self, reference: Reference) -> PreferenceStep:
        """What the loop is given."""
        method, design = self.prepared.method, self.prepared.design
        if "samples" not in needs_of(method):
            return PreferenceStep(method, reference, self.cure)
        drawn = Drawn(design.samples, design.max_new_tokens, stop_ids(self.bench.model), design.seed)
        return PreferenceStep(method, reference, self.cure, draw=drawn)


def at_work(prepared: Prepared, ready: Bench) -> Uncured:
    """The cure of this network; one that it does not allow is refused."""
    cure: Any = prepared.cure
    if cure is None:
        return Uncured()
    try:
        return cure.begin(ready.model.network, ready.optimizer)
    except ValueError as error:
        raise refused("cure", f"{prepared.design.cure}: {error}") from error
