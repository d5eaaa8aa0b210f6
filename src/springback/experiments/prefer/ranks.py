"""One training computed by several processes (torchrun): the first conducts it, the others train along.

The first process alone filters, reads, decides and writes. Before each step it says so, and every process takes it
together: the same rows split among them, the same update (`fit.spread`). A reference's log-probabilities are computed
together too, each process reading the rows that it trains on. A cure's counts and running statistics are those of the
whole batch. A loss or cure that must see a pair's whole batch to say what the pair is worth is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from torch import nn

from springback.experiments.prefer import filtering
from springback.experiments.prefer.assembly import Assembly, at_work
from springback.experiments.prefer.bench import bench
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.laboratory import ModelLaboratory
from springback.experiments.prefer.offers import alone
from springback.experiments.prefer.order import Order
from springback.experiments.prefer.preparing import Prepared, prepare
from springback.experiments.several import refused_world, require_all, require_memory
from springback.fit.loop import Summed
from springback.fit.spread import same, share, spread
from springback.parallel.group import Group
from springback.train.cures.calibrated import Calibrated
from springback.train.cures.learned_mask import LearnedMask
from springback.train.preference_logprobs import on_cpu
from springback.train.preference_step import Batch

WHOLE: Final = (Calibrated, LearnedMask)
"""Cures that learn from the whole batch something that is no sum over its pairs' gradients of the weights."""


@dataclass
class Together(ModelLaboratory):
    """A laboratory whose training is split over the processes of a group; all of them take each step."""

    group: Group | None = None

    def restore(self) -> int:
        step = super().restore()
        self.compare()
        return step

    def compare(self) -> None:
        """All processes hold the same weights, bit for bit."""
        assert self.group is not None
        same(self.bench.optimizer, self.group)

    def summed(self, network: nn.Module, batch: Batch) -> Summed:
        assert self.group is not None
        return share(self.loss, self.group)(network, batch)

    def advance(self) -> dict[str, Any]:
        assert self.group is not None
        if "statistics" in self.loss.needs:
            seen = [tuple(one and on_cpu(one) for one in both) for both in self.loss.seen]
            self.loss.seen[:] = [part for own in self.group.gathered(seen) for part in own]
        return counted(self.group.gathered(super().advance()))


class Conducting(Together):
    """The first process's: it tells the others before it does what they do too."""

    def restore(self) -> int:
        self._say("restore")
        return super().restore()

    def train(self, step: int) -> Any:
        self._say("train", step)
        return super().train(step)

    def read(self, step: int) -> Any:
        self._say("compare")
        self.compare()
        return super().read(step)

    def _say(self, *order: Any) -> None:
        assert self.group is not None
        self.group.say(order)


@dataclass(frozen=True, slots=True)
class Conductor:
    """The first process's part."""

    group: Group
    sharded: bool = False

    @property
    def size(self) -> int:
        return self.group.world.size

    def require(self, prepared: Prepared) -> None:
        """Refuse what several processes cannot do, or have no room for."""
        design, one = prepared.design, "or leave --world and torchrun out."
        if self.sharded:
            raise refused_world("with --shard cannot train on preferences", "Leave --shard out.")
        if not alone(prepared.method):
            why = f"cannot split {design.loss}: a pair's loss depends on its whole batch"
            raise refused_world(why, f"Take a loss of single pairs, such as dpo, {one}")
        if isinstance(prepared.cure, WHOLE):
            raise refused_world(
                f"cannot split --cure {design.cure}: it learns from the whole batch", f"Take another, {one}"
            )  # fmt: skip
        self._splits(design, len(prepared.sources.train))
        require_memory(self.group.world, prepared.expected, design.device)

    def gather(self, design: Design, folder: Path, places: Sequence[int] | None) -> None:
        """All others load model and data. `places`: the rows that a filter has left."""
        self.group.say(("prefer", design, folder.absolute(), places))
        require_all(self.group.sums([0.0])[0])

    def lead(self, lab: ModelLaboratory) -> Conducting:
        """The laboratory of the first process, once all others have theirs."""
        self._splits(lab.design, len(lab.bench.train))
        self.group.say(("join",))
        made = Conducting(**{each.name: getattr(lab, each.name) for each in fields(ModelLaboratory)}, group=self.group)
        spread(made.bench.optimizer, self.group)
        return made

    def _splits(self, design: Design, rows: int) -> None:
        """Every micro-batch has a row for each process."""
        order, total = Order(rows, design.batch, design.accumulate, design.epochs, design.seed), design.total(rows)
        first, last = (min(map(len, order.step(step))) for step in (0, total - 1))
        if min(first, last) < self.size:
            last_only = f"Leave the last step out with --steps {total - 1}." if first >= self.size else ""
            raise refused_world(
                f"{self.size} cannot split a micro-batch of {min(first, last)} rows",
                last_only or "Take a larger --batch or a smaller --accumulate.",
            )


def follow(group: Group) -> None:
    """What every other process does, until the first one has no more orders."""
    training: Assembly | None = None
    lab: Together | None = None
    while (order := group.hear()) is not None:
        verb, words = order[0], order[1:]
        if verb == "prefer":
            training = _assembled(*words, group=group)
            continue
        assert training is not None
        if verb == "refer":
            training.referring.read_along(words[0], group)
        elif verb == "join":
            lab = _joined(training, group)
        elif lab is not None:
            known: dict[str, Callable[..., object]] = {
                "restore": lab.restore, "train": lab.train, "compare": lab.compare
            }  # fmt: skip
            known[verb](*words)


def counted(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a cure says of a step in all processes: counts are added, all else is the same or the first one's."""
    names = dict.fromkeys(name for one in told for name in one)
    return {name: _together([one[name] for one in told if name in one]) for name in names}


def _together(values: Sequence[Any]) -> Any:
    return sum(values) if all(type(value) is int for value in values) else values[0]


def _assembled(design: Design, folder: Path, places: Sequence[int] | None, *, group: Group) -> Assembly:
    """The training of one that follows; all processes hear of it where it cannot have any."""
    try:
        found = _own(design, folder, places)
    except Exception:
        group.sums([1.0])
        raise
    group.sums([0.0])
    return found


def _own(design: Design, folder: Path, places: Sequence[int] | None) -> Assembly:
    if not (folder / "run.json").is_file():
        raise refused_world(f"needs a run directory that every process sees; {folder} is not here", "Share --out.")
    prepared = prepare(design)
    ready = bench(design, prepared.sources, prepared.way)
    ready = ready if places is None else filtering.kept(ready, places)
    return Assembly(prepared, ready, at_work(prepared, ready), folder)


def _joined(training: Assembly, group: Group) -> Together:
    """It reads nothing but what it trains on."""
    step = training.step(training.referring.reference())
    made = Together(
        training.prepared.design, training.bench, training.order, step, (), (), training.checkpoints, group=group
    )  # fmt: skip
    spread(made.bench.optimizer, group)
    return made
