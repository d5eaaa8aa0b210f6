"""A reference's log-probabilities of every training row, in one file, beside the facts that they hold for."""

import json
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from springback.errors import RefusedError
from springback.models.pair_tokens import Item, LabelledRow, RankedRows, answers
from springback.models.rows import RowPair
from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.method import Need
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs
from springback.train.preference_logprobs import Logprobs, relevance

FORMAT: Final = "springback reference 1"
WORDS: Final = {
    "model_sha256": "the reference's weights", "template_sha256": "the chat template", "data_sha256": "the data file",
    "rows_sha256": "the tokenised rows", "dtype": "the compute type", "max_length": "--max-length",
}  # fmt: skip
"""Facts that must agree, in words."""


@dataclass(frozen=True, slots=True)
class Table:
    """Log π_ref of every answer of the training set in nats, answers of one item one after another."""

    items: Sequence[Item]
    logprob: Tensor
    """[answer], float64."""
    by_token: Tensor | None = None
    """[token] of all answers, where a loss looks at tokens."""

    @classmethod
    def empty(cls, items: Sequence[Item], *, by_token: bool) -> "Table":
        """Zeros everywhere."""
        lengths = [len(row.answer) for item in items for row in answers(item)]
        tokens = torch.zeros(sum(lengths), dtype=torch.float64) if by_token else None
        return cls(items, torch.zeros(len(lengths), dtype=torch.float64), tokens)

    def tensors(self) -> dict[str, Tensor]:
        """What the file holds."""
        return {"logprob": self.logprob} | ({} if self.by_token is None else {"by_token": self.by_token})


@dataclass(frozen=True, slots=True)
class Places:
    """Where each item's answers and tokens begin in a table."""

    answers: tuple[int, ...]
    tokens: tuple[int, ...]

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Places":
        counts = [len(answers(item)) for item in items]
        tokens = [sum(len(row.answer) for row in answers(item)) for item in items]
        return cls(tuple(accumulate(counts, initial=0)), tuple(accumulate(tokens, initial=0)))


def put(table: Table, places: Places, batch: Sequence[int], found: Logprobs) -> None:
    """Write a batch's log-probabilities at its places."""
    items = [table.items[place] for place in batch]
    sums, tokens = _flat(found, items)
    for place, own, by_token in zip(batch, sums, tokens, strict=True):
        table.logprob[places.answers[place] : places.answers[place + 1]] = own.cpu().double()
        if table.by_token is not None and by_token is not None:
            table.by_token[places.tokens[place] : places.tokens[place + 1]] = by_token.cpu().double()


def gathered(table: Table, places: Places, batch: Sequence[int], needs: AbstractSet[Need], like: Tensor) -> Logprobs:
    """What a loss sees of the reference for the rows at these places, on the device and in the type of `like`."""
    items = [table.items[place] for place in batch]
    sums = [table.logprob[places.answers[place] : places.answers[place + 1]].to(like) for place in batch]
    lengths = [torch.tensor([float(len(row.answer)) for row in answers(item)]).to(like) for item in items]
    if isinstance(items[0], LabelledRow):
        wanted = torch.tensor([isinstance(item, LabelledRow) and item.wanted for item in items], device=like.device)
        return LabelledLogprobs(torch.cat(sums), wanted, torch.cat(lengths))
    if isinstance(items[0], RankedRows):
        counts = torch.tensor([len(own) for own in sums], device=like.device)
        real = torch.arange(int(counts.max()), device=like.device) < counts[:, None]
        filled, sizes = pad_sequence(sums, batch_first=True), pad_sequence(lengths, batch_first=True)
        return ListLogprobs(filled, relevance(items).to(like), sizes, real)
    chosen, rejected = torch.stack(sums).unbind(dim=1)
    tokens = Both(*torch.stack(lengths).unbind(dim=1))
    return PairLogprobs(chosen, rejected, tokens, _tables(table, places, batch, like) if "tokens" in needs else None)


def save(path: Path, table: Table, facts: Mapping[str, Any]) -> None:
    """Write the file, whole or not at all, durable on return."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    said = {"format": FORMAT, "facts": json.dumps(dict(facts), sort_keys=True)}
    with partial.open("wb") as file:
        file.write(safetensors.torch.save(table.tensors(), metadata=said))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path, items: Sequence[Item], facts: Mapping[str, Any], *, by_token: bool) -> Table:
    """Read the file for these rows.

    Raises:
        RefusedError: there is none, it is torn, or it was made for something else; what differs is named.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    if said.get("format") != FORMAT:
        raise _refused(path, "holds no reference log-probabilities of ours")
    found = json.loads(said["facts"])
    if apart := [words for name, words in WORDS.items() if found.get(name) != facts.get(name)]:
        raise _refused(path, f"is stale: {', '.join(apart)} differ{'s' * (len(apart) == 1)} from what it was made with")
    if by_token and "by_token" not in tensors:
        raise _refused(path, "has no log-probabilities of single tokens, which this loss looks at")
    return Table(items, tensors["logprob"], tensors.get("by_token"))


def blank(table: Table, rows: AbstractSet[int]) -> None:
    """NaN at the answers of rows that were not read."""
    places = Places.of(table.items)
    for values, starts in ((table.logprob, places.answers), (table.by_token, places.tokens)):
        if values is not None:
            for row in rows:
                values[starts[row] : starts[row + 1]] = torch.nan


def require(path: Path, table: Table, rows: AbstractSet[int]) -> None:
    """RefusedError where one of these rows was not read into the file."""
    starts = Places.of(table.items).answers
    lacking = sum(bool(table.logprob[starts[row] : starts[row + 1]].isnan().any()) for row in rows)
    if lacking:
        raise _refused(path, f"was made for fewer steps: {lacking} of the {len(rows)} rows of this run are not in it")


def _flat(found: Logprobs, items: Sequence[Item]) -> tuple[list[Tensor], list[Tensor | None]]:
    """Of each item: log π of its answers, and of their tokens one after another."""
    if isinstance(found, LabelledLogprobs):
        return list(found.logprob.split(1)), [None] * len(items)
    if isinstance(found, ListLogprobs):
        return [row[: len(answers(item))] for row, item in zip(found.logprobs, items, strict=True)], [None] * len(items)
    sums = list(torch.stack([found.chosen, found.rejected], dim=1))
    if found.by_token is None:
        return sums, [None] * len(items)
    rows = zip(found.by_token.chosen, found.by_token.rejected, items, strict=True)
    return sums, [
        torch.cat([one[: len(item.chosen.answer)], other[: len(item.rejected.answer)]])
        for one, other, item in rows
        if isinstance(item, RowPair)
    ]


def _tables(table: Table, places: Places, batch: Sequence[int], like: Tensor) -> BothByToken:
    assert table.by_token is not None
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for place in batch:
        own = table.by_token[places.tokens[place] : places.tokens[place + 1]].to(like)
        parts = own.split([len(row.answer) for row in answers(table.items[place])])
        for side, part in zip(sides, parts, strict=True):
            side.append(part)
    return BothByToken(*(pad_sequence(side, batch_first=True) for side in sides))


def _refused(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{path.name} {why}.", kind="reference", where=str(path),
        next="Leave --reference-logprobs out: they are computed anew, and stored in the run.",
    )  # fmt: skip
