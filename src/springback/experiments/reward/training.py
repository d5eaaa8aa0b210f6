"""A reward model on the bench: loaded, trained from a checkpoint on, read, saved.

Step k trains on places k·batch … of the rows, gone through epoch after epoch in orders that the seed and the epoch
alone decide; so a run that was stopped and goes on ends in the same bits, and the first steps of a longer run are this
one's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from springback.data.choices import Ranking
from springback.data.ledger import Ledger
from springback.data.order import drawn
from springback.errors import RefusedError
from springback.experiments.audit import workbench
from springback.experiments.reward.config import Design
from springback.experiments.reward.sources import Ordered, Sources
from springback.fit import checkpoint
from springback.fit.checks import STEPS, FirstSteps, Moved
from springback.fit.loop import Fit, Step, fit
from springback.fit.masters import MasterAdamW
from springback.models import reward_folder
from springback.models.adapters import LoRA, attach
from springback.models.load import TINY, load
from springback.models.pair_tokens import RankedRows, tokenised
from springback.models.place import place
from springback.models.reward_head import reward_of
from springback.models.reward_model import RewardModel, scores_of_rows
from springback.train.reward.centred import Loss
from springback.train.reward.step import Ranked, rankings, summed

LAST = "last"
"""Name of the one checkpoint that is kept."""


@dataclass(slots=True)
class Trainer:
    """Model, rows and optimiser of one run."""

    design: Design
    model: RewardModel
    loss: Loss
    update: MasterAdamW
    training: Sequence[Ranked]
    held_out: Sequence[Ranked]
    held_out_where: Sequence[str]
    ledgers: Sequence[Ledger]
    folder: Path
    """Where the checkpoint lies."""
    moved: dict[str, Any] | None = None
    """What the first steps moved; None until one was taken."""
    work: dict[str, int] = field(default_factory=lambda: {"optimizer_steps": 0, "answers_read": 0})

    @property
    def steps(self) -> int:
        return self.design.steps(len(self.training))

    def resumed(self) -> int:
        """Put the checkpoint's weights and moments on the bench, where there is an intact one; the steps behind it."""
        found = checkpoint.load(self.folder / LAST)
        if not isinstance(found, checkpoint.Checkpoint):
            return 0
        self.update.load(found.tensors)
        self.moved = found.facts["moved"]
        return int(found.facts["step"])

    def train(self, first: int) -> Iterator[Step]:
        """Optimiser steps from this one on; dropout is off. `NonFiniteError` leaves the weights of the step before."""
        config = Fit(
            lr=self.design.learning_rate, warmup_steps=self.design.warmup_steps, accumulate=self.design.accumulate
        )
        self.model.network.eval()
        batch = lambda rows: summed(self.model, self.loss, rows)
        steps = fit(
            batch, self._batches(first), self.update, config, first_step=first, first_row=first * self.design.batch
        )
        for step in self._watched(steps) if first == 0 else steps:
            self.work["optimizer_steps"] += 1
            yield step

    def keep(self, step: int) -> None:
        """Make weights and moments durable, as those after so many steps."""
        checkpoint.save(self.folder / LAST, self.update.state(), {"step": step, "moved": self.moved})

    def read(self, rows: Sequence[Ranked], saved: RewardModel | None = None) -> list[dict[str, Any]]:
        """`scores`, `relevance` and `tokens` of each row's answers, as the model stands, or by the saved one."""
        flat = [row for each in rows for row in each.rows]
        self.work["answers_read"] += len(flat)
        found = iter(scores_of_rows(saved or self.model, flat))
        return [
            {"scores": [next(found) for _ in each.rows], "relevance": list(each.relevance),
             "tokens": [len(row.answer) for row in each.rows]}
            for each in rows
        ]  # fmt: skip

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write the model for users, in float32 from before any rounding."""
        masters = {slot.name: slot.master for slot in self.update.slots}
        return reward_folder.save(self.model, folder, masters)

    def _batches(self, first: int) -> Iterator[Sequence[Ranked]]:
        places = order(len(self.training), self.design.examples(len(self.training)), self.design.seed)
        for start in range(first * self.design.batch, len(places), self.design.batch):
            rows = [self.training[place] for place in places[start : start + self.design.batch]]
            yield from _parts(rows, self.design.accumulate)

    def _watched(self, steps: Iterator[Step]) -> Iterator[Step]:
        watch = FirstSteps(self.update, STEPS[self.design.tuner])
        for step in watch.watch(steps):
            self.moved = told(watch.report)
            yield step


def trainer(design: Design, sources: Sources, loss: Loss, folder: Path) -> Trainer:
    """Load, tokenise, attach. What cannot be read or learnt from is refused here, before anything is written."""
    model, masters = _model(design)
    most = [_tokenised(design, model, part) for part in (sources.training, sources.held_out)]
    _require_learnable(loss, most[0].rows)
    if design.tuner == "lora":
        attach(model.states.decoder, LoRA(rank=design.rank, seed=design.seed))
    else:
        model.network.requires_grad_(requires_grad=True)
    model.head.requires_grad_(requires_grad=True)
    update = MasterAdamW(model.network, masters)
    ledgers = [*sources.ledgers, *(part.ledger for part in most)]
    return Trainer(design, model, loss, update, most[0].rows, most[1].rows, most[1].where, ledgers, folder)


def told(found: Moved | None) -> dict[str, Any] | None:
    """Whether every trained tensor moved in the first steps."""
    if found is None:
        return None
    stuck = ", ".join(f"{one.name} ({one.why})" for one in found.stuck[:3])
    enough = found.steps >= found.needed
    why = stuck or ("all moved" if enough else f"{found.steps} of {found.needed} steps were watched")
    return {"tensors": found.tensors_total, "moved": found.moved, "ok": found.ok, "why": why, "enough": enough}


def order(rows: int, examples: int, seed: int) -> list[int]:
    """Places of the rows in the order in which they are trained on, epoch after epoch."""
    found: list[int] = []
    for epoch in range(-(-examples // rows)):
        found += sorted(range(rows), key=lambda place: drawn(seed, epoch, place))
    return found[:examples]


@dataclass(frozen=True, slots=True)
class _Part:
    rows: list[Ranked]
    where: list[str]
    ledger: Ledger


def _model(design: Design) -> tuple[RewardModel, dict[str, torch.Tensor] | None]:
    """The model in its compute type, and the weights before rounding where they are trained."""
    audit = design.audit()
    device, dtype = workbench.device_of(audit), workbench.dtype_of(audit)
    full = design.tuner == "full" and dtype == torch.bfloat16
    made = _started(design, torch.float32 if full else dtype)
    if design.tiny:
        torch.set_num_threads(1)  # a model this small is slower on two threads
    masters = {name: tensor.detach() for name, tensor in made.network.named_parameters()} if full else None
    made.states.decoder.to(device, dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]
    made.head.to(device)
    return made, masters


def _started(design: Design, dtype: torch.dtype) -> RewardModel:
    if design.tiny:
        return reward_of(load(TINY, dtype=dtype), seed=design.seed)
    if reward_folder.is_reward_folder(place(design.model).path):
        return reward_folder.load(design.model, dtype=dtype, trust_remote_code=design.trust_remote_code)
    return reward_of(load(design.model, dtype=dtype, trust_remote_code=design.trust_remote_code), seed=design.seed)


def _tokenised(design: Design, model: RewardModel, rows: Sequence[Ordered]) -> _Part:
    asked: list[Ranking] = [row.ranking for row in rows]
    found = tokenised(model.language, asked, too_long=design.too_long)
    made = []
    for index, item in zip(found.kept, found.items, strict=True):
        assert isinstance(item, RankedRows)
        made.append(Ranked(item.rows, item.relevance, rows[index].margin))
    if len(made) < 2:
        raise RefusedError(
            f"Fewer than two rows fit the model: {found.ledger.sentence()}.", kind="data", where=design.data,
            next="Shorten the rows, or name a model with a longer context.",
        )  # fmt: skip
    return _Part(made, [asked[index].where for index in found.kept], found.ledger)


def _require_learnable(loss: Loss, rows: Sequence[Ranked]) -> None:
    """What a loss cannot take of the data is found here, with equal scores everywhere."""
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        count = sum(len(row.rows) for row in part)
        try:
            loss(rankings(torch.zeros(count, dtype=torch.float64), part))
        except ValueError as error:
            raise RefusedError(
                f"The loss cannot take this data: {error}.", kind="data", where="--loss", next="Take another --loss."
            ) from error


def _parts(rows: Sequence[Ranked], count: int) -> Iterator[Sequence[Ranked]]:
    """Micro-batches of nearly equal size."""
    cuts = [round(index * len(rows) / count) for index in range(count + 1)]
    return (rows[low:high] for low, high in pairwise(cuts))
