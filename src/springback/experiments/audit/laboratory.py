"""The bench of a real model: weights in bf16 with fp32 masters (or an adapter), tuned, kept and read.

Memory, full tuning of P parameters: start 2P bytes, network 2P, masters 4P, moments 8P while tuning, gradients 2P in a
step. The masters on the bench are what a checkpoint holds; a reversal begins from them with fresh moments.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from springback.experiments.audit.audit import Record
from springback.experiments.audit.bench import Along, Answers, Bench, Network
from springback.experiments.audit.cell import records
from springback.experiments.audit.depth import layers, positions, prefill, strip
from springback.experiments.audit.grid import Grid, Part, Point
from springback.experiments.audit.measure import Readings, along_start, draw, take, take_again
from springback.experiments.audit.ways import Ways, chain_seed
from springback.experiments.audit.weights import Weights
from springback.models.rows import Row
from springback.train.recipe import SFT
from springback.train.tuning.method import Tuning, TuningLoss, Writes, data_answers, writes, written
from springback.train.tuning.rollouts import Asked, Rollouts

Rows = Mapping[tuple[int, Part], Sequence[Row]]
"""Rows to tune on, by seed and part, in the order in which they are used."""


@dataclass(slots=True)
class Work:
    """What this call has done; all 0 when everything was stored before."""

    cells: int = 0
    optimizer_steps: int = 0
    tokens_trained: int = 0
    tokens_forward: int = 0


@dataclass(slots=True)
class ModelLaboratory:
    """A `Laboratory` over a real network."""

    grid: Grid
    bench: Bench
    weights: Weights
    rows: Rows
    sft: SFT
    ways: Ways = field(default_factory=Ways)
    asked: Mapping[tuple[int, Part], Sequence[Asked]] = field(default_factory=dict)
    """What the rows ask, for a way of tuning that writes answers itself."""
    work: Work = field(default_factory=Work)
    _seed: int = 0
    _origin: Point | None = None
    _loss: TuningLoss | None = None
    """Of the chain on the bench, made ready on the weights that it began from."""
    _wrote: dict[str, Any] | None = None
    """What that chain has written so far."""
    _along: dict[int, Along] = field(default_factory=dict)
    _taken: dict[Point, Readings] = field(default_factory=dict)
    """The last point's readings."""

    def begin(self, origin: Point | None, seed: int) -> None:
        self._seed, self._origin, self._loss, self._wrote = seed, origin, None, None
        self.weights.begin(origin)

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        rows = self.rows[self._seed, part]
        if self._loss is None:
            self._loss = self._method(part)(self.weights.network, rows, self._behind())
        for step in self.weights.tune(rows[first:last], self.sft, self._loss):
            self.work.optimizer_steps += 1
            self.work.tokens_trained += step.tokens
            yield step
        self._wrote = written(self._loss)

    def _method(self, part: Part) -> Tuning:
        way = self.ways.of(part)
        return way.equipped(self._rollouts(part)) if isinstance(way, Writes) and writes(way) else way

    def _rollouts(self, part: Part) -> Rollouts:
        config, bench = self.bench.config, self.bench
        return Rollouts(
            asked=self.asked.get((self._seed, part), ()), seed=chain_seed(self._seed, part), stop=bench.stop,
            max_new_tokens=config.max_new_tokens, temperature=config.temperature, text=bench.text, lr=self.sft.lr,
        )  # fmt: skip

    def _behind(self) -> Sequence[Row]:
        """What the weights that the chain begins from were tuned on, as far as this run has tuned them."""
        origin = self._origin
        if origin is None or isinstance(origin.aligned, str):
            return ()
        return self.rows[self._seed, "benign" if origin.arm == "benign" else "align"][: origin.aligned]

    def settle(self) -> None:
        self._loss = None
        self.weights.settle()

    def keep(self, point: Point) -> None:
        self.weights.keep(point)

    def kept(self, point: Point) -> bool:
        return self.weights.kept(point)

    def read(self, point: Point) -> Iterable[Record]:
        with self.weights.reading() as network:
            along = self.along(point.seed)
            readings = self._readings(network, point, along)
        self.work.cells += 1
        self.work.tokens_forward += self._forward_tokens(along)
        yield from positions(point, readings)
        yield from records(point, readings, self.bench, self.about(point))

    def _readings(self, network: Network, point: Point, along: Along) -> Readings:
        """Kept for the readings that follow at the same point, and those of the start for its second draw."""
        if point.arm == "noise":
            start = Point(point.seed, "main", 0, 0)
            found = take_again(network, self.bench, self._readings(network, start, along), point.seed)
        elif point not in self._taken:
            found = take(network, self.bench, along, point.seed)
        else:
            return self._taken[point]
        self._taken = {point: found}
        return found

    def extras(self, point: Point) -> Iterable[str]:
        """Depth is read on the first seed: on the start, the most aligned and the most reversed model."""
        config = self.bench.config
        if point.seed != config.seeds[0] or point.arm != "main":
            return []
        if point.phase == "start":
            return ["prefill"]
        if point == self.deepest():
            return ["prefill", "strip", *(["layers"] if config.layers != "none" else [])]
        most = config.reverse_sizes[-1]
        return ["prefill"] if (point.aligned, point.reversed) == (self.deepest().aligned, most) else []

    def read_extra(self, name: str, point: Point) -> Iterable[Record]:
        with self.weights.reading() as network:
            if name == "prefill":
                yield from prefill(network, point, self.bench, self._answers(network, point))
            elif name == "strip":
                yield from strip(network, point, self.bench, self._answers(network, point))
            else:
                yield from layers(network, point, self.bench)

    def _answers(self, network: Network, point: Point) -> Answers:
        """The point's own answers: those just read, or the same ones drawn again after an interruption."""
        taken = self._taken.get(point)
        return taken.answers if taken else draw(network, self.bench, point.seed)

    def deepest(self) -> Point:
        """The most aligned model of the main arm, on the first seed."""
        if self.grid.given:
            return self.grid.given[0]
        return next(chain for chain in self.grid.chains if chain.part == "align").points[-1]

    def along(self, seed: int) -> Along:
        """The start's answers; of one seed at a time, since their logits are large."""
        if seed not in self._along:
            self._along = {seed: along_start(self.bench, seed)}
        return self._along[seed]

    def about(self, point: Point) -> dict[str, Any]:
        """Label; what the last chain wrote; examples, supervised tokens and steps behind a point, in both directions.

        Tokens are null where answers were written while training: their number is no property of the data.
        """
        align: Part = "benign" if point.arm == "benign" else "align"
        reverse: Part = "continuation" if point.arm == "continuation" else "reverse"
        aligned = None if isinstance(point.aligned, str) else point.aligned
        return {
            "label": self.grid.label(point),
            "align": self._count(point.seed, align, aligned),
            "reverse": self._count(point.seed, reverse, point.reversed),
            "written": self._wrote,
        }

    def _count(self, seed: int, part: Part, examples: int | None) -> dict[str, int | None]:
        if examples is None:
            return {"examples": None, "tokens": None, "steps": None}
        rows = self.rows.get((seed, part), ())[:examples]
        return {
            "examples": examples,
            "tokens": sum(len(row.answer) for row in rows) if data_answers(self.ways.of(part)) else None,
            "steps": examples // self.sft.batch,
        }

    def _forward_tokens(self, along: Along) -> int:
        held = (*self.bench.wanted, *self.bench.opposite, *self.bench.neutral, *along.answers.rows)
        return sum(len(row) for row in held)
