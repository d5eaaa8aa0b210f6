"""One audit computed by several processes (torchrun): the first conducts it, the others train along.

The first process alone walks the grid, reads, decides and writes. Before each step that moves weights it says so, and
every process takes it together: the same checkpoint, the same rows split among them, the same update (`fit.spread`).
Readings are the first one's; the others wait. So what is stored already and what is not is asked in one place only.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from springback.experiments.audit.audit import Record
from springback.experiments.audit.config import Audit
from springback.experiments.audit.estimate import Estimate
from springback.experiments.audit.grid import Part, Point, grid
from springback.experiments.audit.laboratory import ModelLaboratory
from springback.experiments.audit.sources import gather
from springback.experiments.audit.ways import indivisible
from springback.experiments.audit.weights import give_back
from springback.experiments.audit.workbench import laboratory, prepare
from springback.experiments.several import refused_world, require_all, require_memory
from springback.fit.shards import ShardedAdamW, shard
from springback.fit.spread import same, share, spread
from springback.judge.choose import choose
from springback.models.rows import Row
from springback.parallel.group import Group
from springback.train.tuning.method import Tuning, TuningLoss


@dataclass
class Together(ModelLaboratory):
    """A laboratory whose training is split over the processes of a group; all of them take each step."""

    group: Group | None = None
    sharded: bool = False
    """Each process holds a part of the weights, so that readings too are taken by all of them."""

    def join(self) -> None:
        """All processes have their laboratory: from now on they train one model."""
        weights, group = self.weights, self.group
        assert weights.optimizer is not None
        assert group is not None
        if not self.sharded:
            spread(weights.optimizer, group)
            return
        assert weights.start_network is not None
        weights.optimizer = ShardedAdamW(weights.optimizer, weights.network, group)
        shard(weights.start_network, group)
        give_back()

    def begin(self, origin: Point | None, seed: int) -> None:
        super().begin(origin, seed)
        self._compare()

    def settle(self) -> None:
        self._compare()
        super().settle()

    def _method(self, part: Part) -> Tuning:
        whole, group = super()._method(part), self.group
        assert group is not None

        def split(network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
            return share(whole(network, rows, before), group)

        return split

    def _compare(self) -> None:
        assert self.weights.optimizer is not None
        assert self.group is not None
        if not self.sharded:  # else each holds another part
            same(self.weights.optimizer, self.group)


class Conducting(Together):
    """The first process's: it tells the others before it does what they do too."""

    def begin(self, origin: Point | None, seed: int) -> None:
        self._say("begin", origin, seed)
        super().begin(origin, seed)

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        self._say("tune", part, first, last)
        yield from super().tune(part, first, last)

    def settle(self) -> None:
        self._say("settle")
        super().settle()

    def read(self, point: Point) -> Iterable[Record]:
        self._say_if_sharded("read", point)
        return super().read(point)

    def read_extra(self, name: str, point: Point) -> Iterable[Record]:
        self._say_if_sharded("read_extra", name, point)
        return super().read_extra(name, point)

    def keep(self, point: Point) -> None:
        self._say_if_sharded("keep")
        super().keep(point)

    def _say_if_sharded(self, *order: Any) -> None:
        if self.sharded:
            self._say(*order)

    def _say(self, *order: Any) -> None:
        assert self.group is not None
        self.group.say(order)


@dataclass(frozen=True, slots=True)
class Conductor:
    """The first process's part in every audit of a command."""

    group: Group
    sharded: bool = False

    @property
    def size(self) -> int:
        return self.group.world.size

    def require(self, config: Audit, expected: Estimate) -> None:
        """Refuse what several processes cannot do, or have no room for."""
        if not config.trains:
            raise refused_world("splits training, and this audit trains nothing", "Leave --world and torchrun out.")
        if config.batch < self.size:
            raise refused_world(f"{self.size} cannot split batches of {config.batch} rows", "Take a larger --batch.")
        if whole := next(indivisible(config), ""):
            raise refused_world(f"cannot split the batches of {whole}", "Leave --world and torchrun out.")
        if self.sharded and (config.tuner != "full" or (config.align_with, config.reverse_with) != ("plain", "plain")):
            raise refused_world("with --shard knows full tuning and plain tuning both ways", "Leave --shard out.")
        require_memory(self.group.world, expected, config.device)

    def lead(self, config: Audit, lab: ModelLaboratory, folder: Path) -> Conducting:
        """The laboratory of the first process, once all others have theirs. The start's weights lie in `folder`."""
        self.group.say(("audit", config, folder.absolute(), self.sharded))
        require_all(self.group.sums([0.0])[0])
        made = Conducting(**_parts(lab), group=self.group, sharded=self.sharded)
        made.join()
        return made


def follow(group: Group) -> None:
    """What every other process does, until the first one has no more orders."""
    lab: Together | None = None
    while (order := group.hear()) is not None:
        verb, words = order[0], order[1:]
        if verb == "audit":
            lab = None  # before the next one is loaded
            lab = _joined(words[0], words[1], group, sharded=words[2])
            continue
        assert lab is not None
        if verb == "begin":
            lab.begin(*words)
        elif verb == "tune":
            deque(lab.tune(*words), maxlen=0)
        elif verb == "read":
            deque(lab.read(*words), maxlen=0)
        elif verb == "read_extra":
            deque(lab.read_extra(*words), maxlen=0)
        elif verb == "keep":
            assert lab.weights.optimizer is not None
            lab.weights.optimizer.state(moments=False)
        else:
            lab.settle()


def _joined(config: Audit, folder: Path, group: Group, *, sharded: bool) -> Together:
    """The laboratory of one that follows; all processes hear of it where it cannot have any."""
    try:
        made = Together(**_parts(_own(config, folder)), group=group, sharded=sharded)
    except Exception:
        group.sums([1.0])
        raise
    group.sums([0.0])
    made.join()
    return made


def _own(config: Audit, folder: Path) -> ModelLaboratory:
    if not (folder / "start").is_dir():
        raise refused_world(f"needs a run directory that every process sees; {folder} is not here", "Share --out.")
    sources = gather(config)
    shared = sources.shared
    named = None if config.score == "classifier" else config.score
    scorer = choose(named, fit=shared.scorer_fit, held_out=shared.scorer_held_out, why=shared.scorer_why)
    return laboratory(config, grid(config), prepare(config, sources, scorer), folder)


def _parts(lab: ModelLaboratory) -> dict[str, Any]:
    return {each.name: getattr(lab, each.name) for each in fields(ModelLaboratory)}
