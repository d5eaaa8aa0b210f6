"""Examples as rows of token ids, nothing truncated: what does not fit is refused with its file and line."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from springback.data.records import Example
from springback.errors import RefusedError
from springback.models.language_model import LanguageModel
from springback.models.rows import Row
from springback.models.tokens import encode


def encoded(model: LanguageModel, examples: Sequence[Example], *, paired: bool = False) -> list[Row]:
    """Rows of examples, nothing truncated: one that is longer than the context is refused with its file and line.

    `paired`: each with the other answer to its prompt, refused where there is none.
    """
    rows = [_encoded(model, example, example.answer) for example in examples]
    if not paired:
        return rows
    return [
        replace(row, other=_encoded(model, example, _other(example)))
        for row, example in zip(rows, examples, strict=True)
    ]


def _encoded(model: LanguageModel, example: Example, answer: str) -> Row:
    row = encode(model, [asdict(turn) for turn in example.prompt], answer)
    if len(row) > model.context:
        raise RefusedError(
            f"A row has {len(row)} tokens, {model.name} reads {model.context}; nothing is truncated.",
            kind="data", where=example.where, next="Shorten the row or leave it out.",
        )  # fmt: skip
    return row


def _other(example: Example) -> str:
    if example.other is None:
        raise RefusedError(
            "This row has no other answer to its prompt, and a preference loss needs both.", kind="data",
            where=example.where, next="Give pairs that share their prompts, or tune with --align-with plain.",
        )  # fmt: skip
    return example.other


def require_room_to_write(
    model: LanguageModel, rows: Sequence[Row], examples: Sequence[Example], max_new_tokens: int
) -> None:
    """Refuse a prompt behind which an answer of so many tokens does not fit."""
    for row, example in zip(rows, examples, strict=True):
        if len(row.prompt) + max_new_tokens > model.context:
            raise RefusedError(
                f"A prompt has {len(row.prompt)} tokens; with {max_new_tokens} new ones it passes the {model.context} "
                f"that {model.name} reads.",
                kind="data", where=example.where, next="Shorten the prompt, or lower --max-new-tokens.",
            )  # fmt: skip
