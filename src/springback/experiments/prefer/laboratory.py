"""The laboratory of a real model: one network on the bench, trained by a loss of the family, read against its start."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from springback.experiments.prefer.bench import Bench
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.embedded import embeddings
from springback.experiments.prefer.order import Order
from springback.experiments.prefer.products import entanglement, pairs_of
from springback.experiments.prefer.readings import Baseline, Set, baseline, probed, reading, set_of, unrelated
from springback.experiments.prefer.walk import Record
from springback.fit.checkpoint import Checkpoint, load, remove, save
from springback.fit.checks import STEPS, FirstSteps, Moved
from springback.fit.loop import Fit, Summed, fit
from springback.models.adapters import start_view
from springback.models.rows import Row
from springback.store.run import Run
from springback.train.preference_step import Batch, PreferenceStep
from springback.train.reference import SecondModel

LAST = "last"
"""Name of the checkpoint; a newer one takes its place."""


@dataclass(slots=True)
class Work:
    """What this call has done; all 0 when everything was stored before."""

    optimizer_steps: int = 0
    tokens_trained: int = 0
    readings: int = 0


@dataclass(slots=True)
class ModelLaboratory:
    """A `Laboratory` over a real network."""

    design: Design
    bench: Bench
    order: Order
    loss: PreferenceStep
    sets: tuple[Set, ...]
    baselines: tuple[Baseline, ...]
    checkpoints: Path
    work: Work = field(default_factory=Work)
    moved: Moved | None = None
    """What the first steps of this call did; None until they were taken."""
    _watch: FirstSteps | None = None

    @property
    def total(self) -> int:
        return self.design.total(len(self.bench.train))

    def restore(self) -> int:
        found = load(self.checkpoints / LAST)
        if not isinstance(found, Checkpoint):
            self.loss.cure.prepare(self.bench.model.network, self.bench.train)
            return 0
        own = {name: tensor for name, tensor in found.tensors.items() if not name.startswith(("reference/", "cure/"))}
        self.bench.optimizer.load(own)
        self.loss.restore(found.facts["step"], found.facts["statistics"])
        theirs = [name for name in found.tensors if name.startswith("cure/")]
        self.loss.cure.restore({name.removeprefix("cure/"): found.tensors[name] for name in theirs})
        self._restore_reference(found.tensors)
        return found.facts["step"]

    def keep(self, step: int) -> None:
        cure = {f"cure/{name}": tensor for name, tensor in self.loss.cure.tensors().items()}
        tensors = self.bench.optimizer.state() | self._moving() | cure
        save(self.checkpoints / LAST, tensors, {"step": step, "statistics": self.loss.statistics()})

    def train(self, step: int) -> Mapping[str, Any]:
        network, design = self.bench.model.network, self.design
        network.eval()
        parts = self._batches(step)
        config = Fit(design.learning_rate, design.warmup_steps, len(parts), design.clip)
        steps = fit(lambda batch: self.summed(network, batch), parts, self.bench.optimizer, config,
                    first_step=step, first_row=step * design.batch)  # fmt: skip
        (done,) = self._watched(steps)
        told = self.advance()
        self._move_reference(step)
        self.work.optimizer_steps += 1
        self.work.tokens_trained += done.tokens
        return {
            "step": step, "loss": done.loss, "gradient_norm": done.gradient_norm, "examples": done.examples,
            "tokens": done.tokens, "epoch": self.order.epoch(step), "learning_rate": config.rate(step),
            "statistics": self.loss.statistics(), "cure": told,
        }  # fmt: skip

    def summed(self, network: nn.Module, batch: Batch) -> Summed:
        """The loss of a micro-batch."""
        return self.loss(network, batch)

    def advance(self) -> dict[str, Any]:
        """The step has been taken: what the cure says of it."""
        told = self.loss.cure.told()
        self.loss.advance()
        return told

    def read(self, step: int) -> Iterable[Record]:
        network = self.bench.model.network
        network.eval()
        for found, base in zip(self.sets, self.baselines, strict=True):
            with torch.no_grad():
                body = reading(network, found, base, step)
            self.work.readings += 1
            yield "reading", f"{found.name}/{step}", body
        pairs = pairs_of(self.sets[-1], self.design.products(self.total))
        if pairs:
            yield "entanglement", f"{self.sets[-1].name}/{step}", entanglement(network, pairs, step)
        yield from embeddings(network, self.sets, self.loss.method, step)

    def release(self) -> None:
        """Delete the checkpoints."""
        remove(self.checkpoints)

    def _batches(self, step: int) -> list[Batch]:
        rows = self.bench.train
        return [Batch(places, tuple(rows[place] for place in places)) for places in self.order.step(step)]

    def _watched(self, steps: Iterator[Any]) -> list[Any]:
        """The first steps of this call are looked at: did every trainable tensor move?"""
        needed = STEPS[self.design.tuner]
        if self._watch is None:
            self._watch = FirstSteps(self.bench.optimizer, needed)
        if self.work.optimizer_steps >= needed:
            return list(steps)
        done = list(self._watch.watch(steps))
        self.moved = self._watch.report
        return done

    def _moving(self) -> dict[str, Tensor]:
        """The weights of a reference that moves."""
        second = self.loss.reference
        if "moving_reference" not in self.loss.needs or not isinstance(second, SecondModel):
            return {}
        return {f"reference/{name}": weight.detach() for name, weight in second.network.named_parameters()}

    @torch.no_grad()
    def _restore_reference(self, tensors: Mapping[str, Tensor]) -> None:
        second = self.loss.reference
        for name, weight in second.network.named_parameters() if isinstance(second, SecondModel) else ():
            if f"reference/{name}" in tensors:
                weight.copy_(tensors[f"reference/{name}"])

    def _move_reference(self, step: int) -> None:
        if "moving_reference" in self.loss.needs and (step + 1) % self.loss.method.every == 0:
            assert isinstance(self.loss.reference, SecondModel)
            self.loss.reference.follow(self.bench.model.network, self.loss.method.alpha)


def read_sets(design: Design, bench: Bench, run: Run) -> tuple[Set, ...]:
    """Held-out rows with their probes, and a sample of the training rows. What was written greedily is stored."""
    held_out = set_of("held_out", bench.held_out, design.read_pairs)
    stored = run.read("probe")
    if stored:
        rows = tuple(Row(tuple(b["prompt_ids"]), tuple(b["answer_ids"]), int(b["ended"]), 0) for b in stored.values())
        other = unrelated(held_out.chosen, [row.prompt for row in rows])
        held_out = Set(held_out.name, held_out.chosen, held_out.rejected, held_out.paired, rows, other)
    else:
        held_out = probed(bench.model, held_out, design.max_new_tokens, prompts=design.probes)
        with run.together():
            for index, row in enumerate(held_out.greedy):
                run.append("probe", str(index), _probe(bench, index, row))
    return held_out, set_of("train", bench.train, design.read_pairs)


def baselines(bench: Bench, sets: Sequence[Set]) -> tuple[Baseline, ...]:
    """The reference on every set: another model, or this one before training."""
    network = bench.second.network if bench.second else bench.model.network
    with start_view(network), torch.no_grad():
        return tuple(baseline(network, found, kl=found.name == "held_out") for found in sets)


def _probe(bench: Bench, index: int, row: Row) -> dict[str, Any]:
    kept = row.answer[: len(row.answer) - row.stop]
    text = str(bench.model.tokenizer.decode(list(kept), skip_special_tokens=True))
    return {"index": index, "prompt_ids": list(row.prompt), "answer_ids": list(row.answer), "ended": bool(row.stop),
            "answer": text}  # fmt: skip
