"""How many bits a model needs to write texts down: γ of files, scored in bounded memory.

A file is read, tokenised and scored in pieces; what is held are a piece, a window and one batch. The figures are those
of an ideal coder.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from springback.data.plain_text import Text, require_text
from springback.elasticity.code_length import CodeLength, gamma
from springback.experiments.compress.config import CompressConfig, Policy
from springback.experiments.compress.documents import Document, answer_documents, text_document
from springback.experiments.compress.policy import policy_of
from springback.experiments.compress.windows import windows
from springback.models.language_model import LanguageModel
from springback.models.readout import text_config
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.stats.measured import Measured, unmeasured

GROUP_TOKENS = 16_384
"""Tokens of windows that are prepared and scored between two progress reports."""


@dataclass(frozen=True, slots=True)
class FileRate:
    """One file under the model."""

    file: str
    bytes: int
    """UTF-8 bytes that were coded: of the file, or of its answers."""
    tokens: int
    code_bits: float | None
    """None where the file was not scored; the warnings say why."""
    gamma: float | None
    """Bits of code per bit of text; exact for this file."""
    tail_truncated_bytes: int = 0
    """Bytes at the end that were not scored. Always 0."""
    documents: int = 1


@dataclass(frozen=True, slots=True)
class Compressed:
    """All files under the model."""

    files: tuple[FileRate, ...]
    micro: Measured
    macro: Measured
    policy: Policy
    warnings: tuple[str, ...]


class Scored(NamedTuple):
    """Some tokens of one document, in order."""

    document: int
    file: int
    tokens: Sequence[int]
    bits: Float64[np.ndarray, " token"]


@dataclass(slots=True)
class _Sum:
    """One document so far."""

    document: Document
    tokens: int = 0
    bits: float = 0.0
    last: float = 0.0

    def add(self, found: Scored) -> None:
        self.tokens += len(found.tokens)
        self.bits += float(found.bits.sum())
        self.last = float(found.bits[-1])

    def length(self) -> CodeLength:
        return CodeLength(self.bits, self.bits - self.document.stop * self.last, self.document.bytes)


def compress(
    texts: Sequence[Text],
    model: LanguageModel,
    config: CompressConfig,
    *,
    report: Callable[[int, int], None],
    keep: Callable[[Scored], None] | None = None,
    lenient: bool = False,
) -> Compressed:
    """Score all files; `report` is told bytes done and bytes in all, `keep` is given the bits of every token.

    A file that is empty or no UTF-8 is refused, or, where `lenient`, left out of γ and named in the warnings.
    """
    policy, ends = policy_of(model, config)
    unscored: dict[int, str] = {}
    if config.read == "answers":
        documents = _answers(model, texts, stop=policy.eos is not None)
    else:
        unscored = {index: why for index, text in enumerate(texts) if (why := _unscorable(text, lenient=lenient))}
        documents = (text_document(model, t, i, ends) for i, t in enumerate(texts) if i not in unscored)
    sums = _sums(model, documents, policy, sum(text.bytes for text in texts), report, keep)
    doubts = [*unscored.values(), *(one.document.reading.changed for one in sums if one.document.reading.changed)]
    rates = [_rate(text, [one for one in sums if one.document.file == index]) for index, text in enumerate(texts)]
    micro, macro = _rates([one.length() for one in sums])
    return Compressed(tuple(rates), micro, macro, policy, (*model.notes, *doubts, *_alone(sums, config)))


def _sums(
    model: LanguageModel,
    documents: Iterable[Document],
    policy: Policy,
    total: int,
    report: Callable[[int, int], None],
    keep: Callable[[Scored], None] | None,
) -> list[_Sum]:
    sums: list[_Sum] = []
    for group in _groups(_rows(model, documents, policy, sums)):
        for found in _scored(model, group):
            sums[found.document].add(found)
            if keep is not None:
                keep(found)
        report(min(sum(one.document.reading.bytes for one in sums), total - 1), total)
    report(total, total)
    return sums


def _answers(model: LanguageModel, texts: Sequence[Text], *, stop: bool) -> Iterator[Document]:
    for index, text in enumerate(texts):
        yield from answer_documents(model, Path(text.file), index, stop=stop)


class _Part(NamedTuple):
    document: int
    file: int
    row: Row
    """A window; without a prompt it is the first token, which nothing stands before."""


def _rows(model: LanguageModel, documents: Iterable[Document], policy: Policy, sums: list[_Sum]) -> Iterator[_Part]:
    for number, document in enumerate(documents):
        sums.append(_Sum(document))
        given, chunks = document.given, document.chunks
        if not given:
            first = next(chunks, ())
            if not first:  # a tokenizer that leaves nothing of the text
                continue
            given, chunks = tuple(first[:1]), chain([first[1:]], chunks)
            yield _Part(number, document.file, Row((), given, 0, 0))
        for row in windows(chunks, given, window=policy.window, stride=policy.stride):
            yield _Part(number, document.file, row)


def _groups(parts: Iterator[_Part]) -> Iterator[list[_Part]]:
    group: list[_Part] = []
    held = 0
    for part in parts:
        group.append(part)
        held += len(part.row)
        if held >= GROUP_TOKENS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _scored(model: LanguageModel, group: Sequence[_Part]) -> Iterator[Scored]:
    found = iter(token_logprobs(model.network, [part.row for part in group if part.row.prompt]))
    alone = np.array([math.log2(text_config(model.network).vocab_size)])
    for part in group:
        bits = 0.0 - next(found).numpy() / math.log(2) if part.row.prompt else alone
        yield Scored(part.document, part.file, part.row.answer, bits)


def _unscorable(text: Text, *, lenient: bool) -> str | None:
    if not lenient:
        require_text(text)
    if text.bytes and not text.fault:
        return None
    why = f"no UTF-8 ({text.fault})" if text.fault else "empty"
    return f"{text.file} is {why}: it has no compression rate under a model"


def _rate(text: Text, sums: Sequence[_Sum]) -> FileRate:
    if not sums:
        return FileRate(text.file, text.bytes, 0, None, None, documents=0)
    size, bits = sum(one.document.bytes for one in sums), math.fsum(one.bits for one in sums)
    tokens = sum(one.tokens for one in sums)
    return FileRate(text.file, size, tokens, bits, bits / (8 * size), documents=len(sums))


def _rates(lengths: Sequence[CodeLength]) -> tuple[Measured, Measured]:
    if not lengths:
        none = unmeasured("no file could be scored")
        return none, none
    found = gamma(lengths)
    return found.micro, found.macro


def _alone(sums: Sequence[_Sum], config: CompressConfig) -> Iterator[str]:
    if len(sums) == 1:
        what = "file" if config.read == "text" else "answer"
        yield f"one {what}: γ has no interval over {what}s"


def as_json(measured: Measured) -> dict[str, Any]:
    """A measured number; the interval is left out where one file gives none."""
    if not measured.measured:
        return measured.json()
    return {name: value for name, value in measured.json().items() if value is not None}
