"""What is scored, one document after the other: whole texts, or answers given their prompts. Tokens come in chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from springback.data.plain_text import Text
from springback.data.read import rows
from springback.data.records import Example
from springback.errors import RefusedError
from springback.experiments.compress.policy import Ends
from springback.models.language_model import LanguageModel
from springback.models.tokens import encode

NOT_BACK: Final = "the tokenizer does not give this text back"


@dataclass(slots=True)
class Reading:
    """Filled while a document is read."""

    bytes: int = 0
    """Read so far."""
    changed: str | None = None
    """What the tokenizer did not give back."""


@dataclass(slots=True)
class Document:
    """A text to be coded after what is given. Its chunks are read once."""

    file: int
    """Which of the files it stands in."""
    bytes: int
    given: tuple[int, ...]
    """Tokens before it, not scored; empty where the first token stands alone."""
    chunks: Iterator[Sequence[int]]
    stop: int
    """How many of its last tokens end it: 0 or 1."""
    reading: Reading = field(default_factory=Reading)


def text_document(model: LanguageModel, text: Text, index: int, ends: Ends) -> Document:
    """A whole file after the start token."""
    given = () if ends.bos is None else (ends.bos,)
    reading = Reading()
    chunks = _text_chunks(model, text, ends, reading)
    return Document(index, text.bytes, given, chunks, 0 if ends.eos is None else 1, reading)


def answer_documents(model: LanguageModel, file: Path, index: int, *, stop: bool) -> Iterator[Document]:
    """Each answer of a file of rows, given its templated prompt. RefusedError for a row that is none."""
    for row in rows(file):
        if not isinstance(row, Example):
            raise RefusedError(
                f"{file.name} holds preferences: which of the two answers is meant?", kind="data",
                where=row.where[0], next="Give rows of prompt and completion, or of messages.",
            )  # fmt: skip
        prompt = [{"role": turn.role, "content": turn.content} for turn in row.prompt]
        found = encode(model, prompt, row.answer)
        answer = found.answer if stop else found.answer[: len(found.answer) - found.stop]
        read = Reading(found.answer_bytes)
        yield Document(index, found.answer_bytes, found.prompt, iter([answer]), found.stop if stop else 0, read)


def tokens_of(model: LanguageModel, text: str) -> list[int]:
    """The text's tokens and no others; `<|im_end|>` written in a file is text, not a stop token."""
    return model.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def text_of(model: LanguageModel, tokens: Sequence[int]) -> str:
    """What the tokens of one piece say."""
    tokenizer: Any = model.tokenizer
    return tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _text_chunks(model: LanguageModel, text: Text, ends: Ends, reading: Reading) -> Iterator[Sequence[int]]:
    for piece in text.pieces():
        tokens = tokens_of(model, piece)
        if reading.changed is None and text_of(model, tokens) != piece:
            reading.changed = f"{text.file}: {NOT_BACK}; γ is that of its normalised form"
        reading.bytes += len(piece.encode())
        if tokens:
            yield tokens
    if ends.eos is not None:
        yield [ends.eos]
