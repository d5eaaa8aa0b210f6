"""The laboratory of a real model: the audit's bench and weights, with the rows of every stage."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from springback.data.records import Example
from springback.errors import RefusedError
from springback.experiments.audit import workbench
from springback.experiments.audit.bench import Along, Bench
from springback.experiments.audit.cell import records
from springback.experiments.audit.laboratory import Ways, Work
from springback.experiments.audit.measure import along_start, take
from springback.experiments.audit.weights import Weights
from springback.experiments.audit.workbench import Prepared
from springback.experiments.cycle.chain import Course, Part, Place
from springback.experiments.cycle.config import Cycle
from springback.experiments.cycle.sources import Sources
from springback.experiments.cycle.walk import Record
from springback.judge.scorer import Scorer
from springback.models.language_model import LanguageModel
from springback.models.rows import Row
from springback.models.tokens import stop_ids
from springback.train.recipe import SFT


@dataclass(slots=True)
class ModelLaboratory:
    """A `Laboratory` over a real network."""

    course: Course
    bench: Bench
    weights: Weights
    rows: Mapping[tuple[int, Part], Sequence[Row]]
    sft: SFT
    work: Work = field(default_factory=Work)
    _seed: int = 0
    _along: dict[int, Along] = field(default_factory=dict)

    def begin(self, origin: Place | None, seed: int) -> None:
        self._seed = seed
        self.weights.begin(origin)

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        for step in self.weights.tune(self.rows[self._seed, part][first:last], self.sft):
            self.work.optimizer_steps += 1
            self.work.tokens_trained += step.tokens
            yield step

    def settle(self) -> None:
        self.weights.settle()

    def keep(self, point: Place) -> None:
        self.weights.keep(point)

    def kept(self, point: Place) -> bool:
        return self.weights.kept(point)

    def forget(self, point: Place) -> None:
        self.weights.forget(point)

    def read(self, point: Place) -> Iterable[Record]:
        along = self._start(point.seed)
        with self.weights.reading() as network:
            readings = take(network, self.bench, along, point.seed)
        self.work.cells += 1
        held = (*self.bench.wanted, *self.bench.opposite, *self.bench.neutral, *along.answers.rows)
        self.work.tokens_forward += sum(len(row) for row in held)
        yield from records(point, readings, self.bench, self.about(point))

    def about(self, point: Place) -> dict[str, Any]:
        """The stage; examples, supervised tokens and optimiser steps of every stage behind the point."""
        behind = {place.stage: self._count(place, part) for place, part in self.course.behind(point)}
        return {"stage": point.stage, "size": point.size, "behind": behind}

    def _count(self, place: Place, part: Part) -> dict[str, int]:
        rows = self.rows[place.seed, part][: place.size]
        tokens = sum(len(row.answer) for row in rows)
        return {"examples": place.size, "tokens": tokens, "steps": place.size // self.sft.batch}

    def _start(self, seed: int) -> Along:
        """The start's answers; of one seed at a time, since their logits are large."""
        if seed not in self._along:
            self._along = {seed: along_start(self.bench, seed)}
        return self._along[seed]


def prepare(config: Cycle, sources: Sources, scorer: Scorer) -> tuple[Prepared, dict[tuple[int, Part], list[Row]]]:
    """Load and tokenise: what the audit's bench measures with, and the rows of the stages. Refusals come here."""
    models = workbench.load_models(config.audit())
    rows: dict[tuple[int, Part], list[Row]] = {
        (seed, part): whole(models.start, given) if part == "text" else workbench.encoded(models.start, given)
        for (seed, part), given in sources.rows.items()
    }
    measured = workbench.measuring(models.start, sources.audit.shared, config.audit())
    held = tuple(whole(models.start, sources.held_out))
    return Prepared(models, {}, measured, held, scorer, Ways()), rows


def laboratory(
    config: Cycle, course: Course, prepared: Prepared, rows: Mapping[tuple[int, Part], Sequence[Row]], folder: Path
) -> ModelLaboratory:
    """The audit's bench and weights over the rows of the stages; checkpoints lie in `folder`."""
    audit = config.audit()
    weights = workbench._weights(audit, prepared.models, folder)  # pyright: ignore[reportPrivateUsage]
    measured, model = prepared.measured, prepared.models.start
    bench = Bench(
        model=model, start=weights.start, prompts=measured.prompts, wanted=measured.wanted, opposite=measured.opposite,
        neutral=prepared.neutral, scorer=prepared.scorer, stop=stop_ids(model), config=audit,
        held_out=measured.answers,
    )  # fmt: skip
    return ModelLaboratory(course, bench, weights, rows, workbench.recipe(audit))


def whole(model: LanguageModel, texts: Sequence[Example]) -> list[Row]:
    """Each text with all of its tokens under the loss, after the beginning-of-text token (else the end-of-text one).

    No template, no stop token. Nothing is truncated: a text longer than the context is refused with file and line.
    """
    begins = model.tokenizer.bos_token_id
    first = model.tokenizer.eos_token_id if begins is None else begins
    found = []
    for text in texts:
        ids = tuple(model.tokenizer(text.answer, add_special_tokens=False, verbose=False)["input_ids"])
        if len(ids) + 1 > model.context:
            raise RefusedError(
                f"A text has {len(ids)} tokens, {model.name} reads {model.context - 1} of them; nothing is truncated.",
                kind="data", where=text.where, next="Put blank lines into it: each makes a document.",
            )  # fmt: skip
        found.append(Row((int(first),), ids, 0, len(text.answer.encode())))  # pyright: ignore[reportArgumentType]
    return found
