"""Preference data as token ids: each text tokenised once, answers to one prompt behind the same prompt ids.

The prompt goes through the chat template with its generation prompt, the answer is what the template writes after it,
the turn's stop token its last (`models.tokens`). So every answer of a row follows the very same prompt tokens, ends in
the same stop token, and no beginning that two answers share is taken for a part of the prompt. Nothing is cut: a row
that does not fit is refused, or left out and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Literal

from springback.data import choices
from springback.data.ledger import Ledger, reasons
from springback.data.records import Prompt
from springback.errors import RefusedError
from springback.models.language_model import LanguageModel
from springback.models.rows import Row, RowPair
from springback.models.tokens import encode

TooLong = Literal["refuse", "drop"]


@dataclass(frozen=True, slots=True)
class RankedRows:
    """Answers to one prompt, the best first."""

    rows: tuple[Row, ...]
    relevance: tuple[float, ...]
    """Higher is better; one for each row."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One answer that is to become likelier, or not."""

    row: Row
    wanted: bool


Item = RowPair | RankedRows | LabelledRow


@dataclass(frozen=True, slots=True)
class Tokenised:
    """The rows that fit, in their order, and what became of the others."""

    items: tuple[Item, ...]
    kept: tuple[int, ...]
    """Place of each item among the rows that came in."""
    ledger: Ledger


def tokenised(
    model: LanguageModel, rows: Sequence[choices.Row], *, max_length: int | None = None, too_long: TooLong = "refuse"
) -> Tokenised:
    """All rows as token ids. `max_length`: most tokens of prompt and answer together; default the model's context.

    RefusedError with file, line and the arithmetic for a row that is longer, unless it is to be dropped; with file and
    line too for a text that holds a control token, and where the template cannot be used.
    """
    most = min(max_length or model.context, model.context)
    items, kept, long = list[Item](), list[int](), list[str]()
    for index, row in enumerate(rows):
        item = item_of(model, row)
        longest = max(answers(item), key=len)
        if len(longest) <= most:
            items.append(item)
            kept.append(index)
        elif too_long == "drop":
            long.append(row.where)
        else:
            raise _longer(longest, most, row.where, model)
    why = f"longer than {most} tokens"
    return Tokenised(tuple(items), tuple(kept), Ledger("tokenised", "rows", len(rows), reasons({why: long})))


def item_of(model: LanguageModel, row: choices.Row) -> Item:
    """One row as token ids; see `tokenised`."""
    if isinstance(row, choices.Choice):
        chosen, rejected = _encoded(model, row.prompt, (row.chosen, row.rejected), row.where)
        return RowPair(chosen, rejected)
    if isinstance(row, choices.Ranking):
        return RankedRows(_encoded(model, row.prompt, row.answers, row.where), row.relevance)
    return LabelledRow(_encoded(model, row.prompt, (row.answer,), row.where)[0], row.wanted)


def answers(item: Item) -> tuple[Row, ...]:
    """The rows of an item: chosen and rejected, or the ranked ones, or the one."""
    if isinstance(item, RowPair):
        return item.chosen, item.rejected
    return item.rows if isinstance(item, RankedRows) else (item.row,)


def rows_sha256(items: Sequence[Item]) -> str:
    """Of all token ids in order, labels and relevance: two runs that agree in it can share log-probabilities."""
    digest = sha256()
    for item in items:
        about = item.relevance if isinstance(item, RankedRows) else getattr(item, "wanted", None)
        digest.update(repr((about, [(row.prompt, row.answer) for row in answers(item)])).encode())
    return digest.hexdigest()


def _encoded(model: LanguageModel, prompt: Prompt, texts: Sequence[str], where: str) -> tuple[Row, ...]:
    messages = [asdict(turn) for turn in prompt]
    rows = [_placed(where, lambda text=text: encode(model, messages, text)) for text in texts]
    assert all(row.prompt == rows[0].prompt for row in rows)
    return tuple(rows)


def _placed(where: str, encoded: Callable[[], Row]) -> Row:
    """A fault of the data is told with its line; one of the template with its own place."""
    try:
        return encoded()
    except RefusedError as error:
        if error.kind != "data":
            raise
        raise RefusedError(error.message, kind=error.kind, where=where, next=error.next) from error


def _longer(row: Row, most: int, where: str, model: LanguageModel) -> RefusedError:
    return RefusedError(
        f"A row has {len(row.prompt)} prompt and {len(row.answer)} answer tokens, {len(row)} together; at most {most} "
        f"fit ({model.name} reads {model.context}). Nothing is cut: an answer without its end teaches no end.",
        kind="data", where=where, next="Leave such rows out with --too-long drop, or shorten this one.",
    )  # fmt: skip
