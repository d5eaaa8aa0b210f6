"""The rows of a reward model, read, checked against the loss and dealt into training and held-out rows. Torch-free.

Rows with one prompt are dealt together, by the prompt's place in the file alone, so no prompt is on both sides and
every seed holds out the same rows.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

from springback.data.choices import Choice, Judged, Ranking
from springback.data.ledger import Ledger
from springback.data.order import drawn
from springback.data.preferences import Preferences, built_in, read_preferences
from springback.data.records import said
from springback.data.source import refuse
from springback.errors import refused
from springback.experiments.audit.sources import model_hashes
from springback.experiments.reward.config import Design
from springback.experiments.reward.margins import with_margins
from springback.models.facts import ModelFacts, describe
from springback.store.provenance import sha256_of_text

SPLIT = 20_250_114
"""Of the order in which prompts are dealt."""
FEWEST = 2
"""Rows on each side below which nothing can be measured."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Answers to one prompt, the best first, and a margin where the loss asks for one that the scores do not give."""

    ranking: Ranking
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    model: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    data: Preferences
    other: Preferences | None
    """The file of held-out rows, where there is one."""
    training: tuple[Ordered, ...]
    held_out: tuple[Ordered, ...]
    notes: tuple[str, ...]

    @property
    def ledgers(self) -> list[Ledger]:
        return [self.data.ledger, *([self.other.ledger] if self.other else [])]

    def json(self) -> dict[str, Any]:
        """The body of the `data` record: counts, never texts."""
        other = None if self.other is None else self.other.json()
        return {**self.data.json(), "held_out_file": other, "training": len(self.training),
                "held_out": len(self.held_out), "ledgers": [one.json() for one in self.ledgers],
                "notes": [*self.data.notes, *self.notes]}  # fmt: skip


def gather(design: Design, *, needs_margins: bool) -> Sources:
    """Find the model, read the data, deal the rows. RefusedError names file, line and next step."""
    data = read_preferences(design.data, score_field=design.score_field) if design.data else built_in(tiny=design.tiny)
    rows = _ordered(data, design.data, needs_margins=needs_margins)
    other, notes = None, ()
    if (count := _count(design.held_out, rows)) is None:
        other = read_preferences(design.held_out, score_field=design.score_field)
        training, held = rows, _ordered(other, design.held_out, needs_margins=False)
        notes = _overlap(training, held)
    else:
        training, held = _dealt(rows, count)
    _require(design, training, held)
    return Sources(None if design.tiny else describe(design.model), data, other, training, held, notes)


def identity(sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    rows = [[asdict(row) for row in part] for part in (sources.training, sources.held_out)]
    return {
        "model": model_hashes(sources.model),
        "data_sha256": sources.data.sha256,
        "held_out_sha256": None if sources.other is None else sources.other.sha256,
        "rows_sha256": sha256_of_text(repr(rows)),
    }


def _ordered(data: Preferences, path: str | None, *, needs_margins: bool) -> tuple[Ordered, ...]:
    if any(isinstance(row, Judged) for row in data.rows):
        refuse(
            f"{data.name} has labelled answers: they do not say which of two answers to a prompt is better.",
            where=path or data.name,
            next_step="Give pairs or ranked answers; `springback prefer --loss kto` takes labels.",
        )  # fmt: skip
    rows = cast("tuple[Choice | Ranking, ...]", data.rows)
    margins = with_margins(data, rows, path) if needs_margins else [None] * len(rows)
    return tuple(Ordered(_ranking(row), margin) for row, margin in zip(rows, margins, strict=True))


def _ranking(row: Choice | Ranking) -> Ranking:
    """A pair is a list of two whose relevances say no more than which is better."""
    if isinstance(row, Ranking):
        return row
    return Ranking(row.prompt, (row.chosen, row.rejected), (1.0, 0.0), row.where)


def _count(text: str, rows: tuple[Ordered, ...]) -> int | None:
    """Held-out rows asked for; None where a file is named."""
    try:
        asked = float(text)
    except ValueError:
        return None
    if not (0 < asked < 1 or (asked >= 1 and asked == int(asked))) or not math.isfinite(asked):
        raise refused("held_out", f"must be a share between 0 and 1, a number of rows or a file, got {text}")
    return max(FEWEST, round(asked * len(rows))) if asked < 1 else int(asked)


def _dealt(rows: tuple[Ordered, ...], count: int) -> tuple[tuple[Ordered, ...], tuple[Ordered, ...]]:
    """Training rows, held-out rows: whole prompts are held out until there are `count` rows or more."""
    prompts: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        prompts.setdefault(said(row.ranking.prompt), []).append(index)
    order = sorted(range(len(prompts)), key=lambda place: drawn(SPLIT, place))
    groups, held = list(prompts.values()), set[int]()
    for place in order:
        if len(held) >= count:
            break
        held.update(groups[place])
    sides = [tuple(row for i, row in enumerate(rows) if (i in held) == side) for side in (False, True)]
    return sides[0], sides[1]


def _require(design: Design, training: tuple[Ordered, ...], held: tuple[Ordered, ...]) -> None:
    if len(training) < FEWEST or len(held) < FEWEST:
        refuse(
            f"There are {len(training)} rows to train on and {len(held)} held out; both need at least {FEWEST}.",
            where=design.data or "DATA", next_step="Bring more rows, or change --held-out.",
        )  # fmt: skip
    if design.accumulate > 1 and (last := design.examples(len(training)) % design.batch) and last < design.accumulate:
        raise refused("accumulate", f"cannot cut the last step, which has {last} rows", "change --batch or --epochs")


def _overlap(training: tuple[Ordered, ...], held: tuple[Ordered, ...]) -> tuple[str, ...]:
    trained = {said(row.ranking.prompt) for row in training}
    both = sum(said(row.ranking.prompt) in trained for row in held)
    return (f"{both} of {len(held)} held-out rows have a prompt that is trained on",) if both else ()
