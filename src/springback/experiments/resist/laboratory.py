"""The laboratory of a real model: one network takes every model's weights in turn, to write and to be tuned.

Every model writes at temperature 1: only then is the held-out excess an estimate of KL(target‖θ). Its own bits are
those of the pass that later reads the others: a model's excess on its own answers is exactly 0.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from springback.elasticity.resistance import own_entropy
from springback.experiments.audit import workbench
from springback.experiments.audit.cell import per_token
from springback.experiments.audit.grid import Point
from springback.experiments.audit.laboratory import Work
from springback.experiments.audit.measure import portions
from springback.experiments.audit.weights import Weights
from springback.experiments.resist.config import Design, Training
from springback.experiments.resist.sources import Sources
from springback.experiments.resist.walk import Record
from springback.fit.loop import Step
from springback.judge.quality import state
from springback.models.generate import sample, streams
from springback.models.language_model import LanguageModel
from springback.models.rows import Row
from springback.models.score import answer_logits, token_logprobs
from springback.models.tokens import encode_prompt, stop_ids
from springback.tensors.divergences import NATS_TO_BITS, kl_bits

Recall = Callable[[str, str], Mapping[str, Any] | None]
"""A stored record by kind and key."""


@dataclass(slots=True)
class ModelLaboratory:
    """A `Laboratory` over a real network."""

    design: Design
    model: LanguageModel
    weights: Weights
    slices: Mapping[int, Sequence[Sequence[Row]]]
    prompts: Sequence[tuple[int, ...]]
    texts: Sequence[str]
    """The prompts' last turns."""
    data_answers: Sequence[str]
    """What this data's answers look like: for telling a model that repeats itself."""
    recall: Recall
    work: Work = field(default_factory=Work)
    _logits: dict[tuple[int, int], tuple[Tensor, ...]] = field(default_factory=dict)
    """The target's and the base's logits along their own held-out answers; two at a time, since they are large."""

    def begin(self, seed: int, slices: int) -> None:
        self.weights.begin(self._point(seed, slices))

    def slice(self, seed: int, number: int) -> Iterator[Step]:
        yield from self._tune(self.slices[seed][number - 1])

    def keep(self, seed: int, slices: int) -> None:
        self.weights.keep(self._point(seed, slices))

    def kept(self, seed: int, slices: int) -> bool:
        return self.weights.kept(self._point(seed, slices))

    def write(self, seed: int, slices: int) -> Iterable[Record]:
        with self.weights.reading() as network:
            written = sample(
                network, self.prompts, max_new_tokens=self.design.max_new_tokens, stop=stop_ids(self.model),
                generators=streams((self.design.slices + 1) * seed + slices, len(self.prompts)),
            )  # fmt: skip
            name = f"{seed}/{slices}"
            bodies = [self._sample(name, index, one.ids, ended=one.ended) for index, one in enumerate(written)]
            rows = [_row(body) for body in bodies[self.design.samples :]]
            yield from (("sample", f"{name}/{index}", body) for index, body in enumerate(bodies))
            yield "target", name, self._target(name, bodies, rows, self._bits(network, rows))

    def aim(self, training: Training) -> None:
        seed = training.seed
        self._logits = {key: kept for key, kept in self._logits.items() if key in ((seed, training.target), (seed, 0))}
        for slices in (0, training.target):
            if (seed, slices) not in self._logits:
                self.begin(seed, slices)
                with self.weights.reading() as network:
                    self._logits[seed, slices] = self._along(network, self._held_out(seed, slices))
        self.begin(seed, training.start)

    def train(self, training: Training, first: int, last: int) -> Iterator[Step]:
        batch, rows = self.design.batch, self._rows(training.seed, training.target)[: self.design.samples]
        places = [place % len(rows) for place in range(first * batch, last * batch)]
        yield from self._tune([rows[place] for place in places])

    def read(self, training: Training, step: int) -> dict[str, Any]:
        seed, target = training.seed, training.target
        own = (self.recall("target", f"{seed}/{target}") or {})["own_bits"]
        rows = self._held_out(seed, target)
        with self.weights.reading() as network:
            bits = self._bits(network, rows)
            from_target, from_base = (self._kl(network, seed, slices) for slices in (target, 0))
        self.work.cells += step == self.design.steps
        return {
            "excess": [float(one - floor) for one, floor in zip(bits, own, strict=True)],
            "kl": [math.fsum(answer) for answer in from_target],
            "kl_from_target": per_token(from_target).json(), "kl_from_base": per_token(from_base).json(),
        }  # fmt: skip

    def _kl(self, network: nn.Module, seed: int, slices: int) -> list[list[float]]:
        """KL(other‖θ) at every token of the other model's held-out answers, bits."""
        others = iter(self._logits[seed, slices])
        return [
            [max(0.0, x) for x in kl_bits(next(others), model).tolist()]
            for rows in portions(self._held_out(seed, slices), network)  # pyright: ignore[reportArgumentType]
            for model in answer_logits(network, rows)
        ]

    def _along(self, network: nn.Module, rows: Sequence[Row]) -> tuple[Tensor, ...]:
        parts = [answer_logits(network, part) for part in portions(rows, network)]  # pyright: ignore[reportArgumentType]
        return tuple(logits for part in parts for logits in part)

    def _bits(self, network: nn.Module, rows: Sequence[Row]) -> list[float]:
        self.work.tokens_forward += sum(len(row) for row in rows)
        return [-float(one.sum()) * NATS_TO_BITS for one in token_logprobs(network, rows)]

    def _tune(self, rows: Sequence[Row]) -> Iterator[Step]:
        for step in self.weights.tune(rows, workbench.recipe(self.design.audit())):
            self.work.optimizer_steps += 1
            self.work.tokens_trained += step.tokens
            yield step

    def _sample(self, name: str, index: int, ids: tuple[int, ...], *, ended: bool) -> dict[str, Any]:
        kept = ids[: len(ids) - ended]
        return {
            "cell": name, "index": index, "prompt": self.texts[index], "prompt_ids": list(self.prompts[index]),
            "answer": str(self.model.tokenizer.decode(list(kept), skip_special_tokens=True)),
            "answer_ids": list(ids), "ended": ended, "score": None,
            "part": "tune" if index < self.design.samples else "held_out",
        }  # fmt: skip

    def _target(self, name: str, bodies: Sequence[Any], rows: Sequence[Row], bits: list[float]) -> dict[str, Any]:
        found = state([body["answer"] for body in bodies], data=self.data_answers)
        tokens = [len(row.answer) for row in rows]
        entropy = own_entropy(torch.tensor(bits).double().numpy(), torch.tensor(tokens).double().numpy())
        seed, _, slices = name.partition("/")
        return {
            "id": name, "seed": int(seed), "slices": int(slices), "own_bits": bits, "tokens": tokens,
            "own_entropy": entropy.json(), "state": {"name": found.name, "why": found.why},
        }  # fmt: skip

    def _rows(self, seed: int, slices: int) -> list[Row]:
        stored = [self.recall("sample", f"{seed}/{slices}/{index}") for index in range(len(self.prompts))]
        return [_row(body) for body in stored if body is not None]

    def _held_out(self, seed: int, slices: int) -> list[Row]:
        return self._rows(seed, slices)[self.design.samples :]

    def _point(self, seed: int, slices: int) -> Point | None:
        """As an audit calls the model after so many wanted examples."""
        return Point(seed, "main", slices * self.design.slice_size, 0) if slices else None


def laboratory(design: Design, sources: Sources, folder: Path, recall: Recall) -> ModelLaboratory:
    """Load, tokenise, keep the base's weights in `folder`. Rows that do not fit the context are refused here."""
    audit = design.audit()
    models = workbench.load_models(audit)
    model = models.start
    slices = {seed: [workbench.encoded(model, part) for part in parts] for seed, parts in sources.slices.items()}
    prompts = [_asked(model, row) for row in sources.prompts]
    weights = workbench._weights(audit, models, folder)  # pyright: ignore[reportPrivateUsage]
    return ModelLaboratory(
        design, model, weights, slices, prompts, [row.prompt[-1].content for row in sources.prompts],
        [row.answer for row in sources.prompts], recall,
    )  # fmt: skip


def _asked(model: LanguageModel, row: Any) -> tuple[int, ...]:
    return encode_prompt(model, [{"role": turn.role, "content": turn.content} for turn in row.prompt])


def _row(body: Mapping[str, Any]) -> Row:
    answer = tuple(body["answer_ids"])
    return Row(tuple(body["prompt_ids"]), answer, int(body["ended"]), len(body["answer"].encode()))
