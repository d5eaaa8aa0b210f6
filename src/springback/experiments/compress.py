"""How many bits a model needs to write a text down: the compression rate γ of plain files.

Every token of every file is scored exactly once, under a window that slides over the file; nothing is truncated. The
figures are those of an ideal coder. No torch is imported before a file is scored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from springback.data.plain_text import Text
from springback.errors import RefusedError

if TYPE_CHECKING:
    from springback.elasticity.code_length import Gamma
    from springback.models.language_model import LanguageModel
    from springback.models.rows import Row

LONGEST = 8_192
"""Longest window, in tokens, that is taken without being asked for: attention grows with its square."""
GROUP_TOKENS = 16_384
"""Tokens of windows that are prepared and scored between two progress reports."""


@dataclass(frozen=True, slots=True)
class CompressConfig:
    """How plain text is cut into windows."""

    window: int | None = None
    """Tokens a window holds as input (default: the model's context, 8,192 where that is longer or not stated)."""
    stride: int | None = None
    """Tokens a window moves on by; each scored one has window − stride of context (default: half of the window)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Every choice that changes γ."""

    bos: str | None
    """The token before each text, not scored itself; None: the first token of a text is coded with log₂|V| bits."""
    eos: None
    """The end of a text is not coded: its length is taken as known."""
    window: int
    stride: int


@dataclass(frozen=True, slots=True)
class FileRate:
    """One file under the model."""

    file: str
    bytes: int
    tokens: int
    code_bits: float
    gamma: float
    """Bits of code per bit of text; exact for this file."""
    tail_truncated_bytes: int = 0
    """Bytes at the end that were not scored. Always 0."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """All files under the model."""

    files: tuple[FileRate, ...]
    gamma: "Gamma"
    policy: Policy
    warnings: tuple[str, ...]


def spans(tokens: int, *, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(context from, scored from, scored to) over `tokens` tokens, the first of which is given and not scored.

    Each window holds at most `window` tokens as input, its last scored token is not one of them. The scored spans
    follow each other without gap or overlap; each scored token has all its past or at least window − stride tokens.
    """
    done = 1
    while done < tokens:
        upto = min(tokens, window + 1 if done == 1 else done + stride)
        yield max(0, upto - 1 - window), done, upto
        done = upto


def compress(
    texts: Sequence[Text], model: "LanguageModel", config: CompressConfig, *, report: Callable[[int, int], None]
) -> Compressed:
    """Score all files; `report` is told tokens done and tokens in all."""
    from springback.elasticity.code_length import CodeLength, gamma

    policy = _policy(model, config)
    ids = [_tokens(model, text.text) for text in texts]
    bits = _code_bits(model, ids, policy, report)
    lengths = [CodeLength(b, b, text.bytes) for b, text in zip(bits, texts, strict=True)]
    rates = [
        FileRate(text.file, text.bytes, len(tokens), length.bits, length.rate)
        for text, tokens, length in zip(texts, ids, lengths, strict=True)
    ]
    return Compressed(tuple(rates), gamma(lengths), policy, (*model.notes, *_doubts(model, texts, ids)))


def _code_bits(
    model: "LanguageModel", files: Sequence[Sequence[int]], policy: Policy, report: Callable[[int, int], None]
) -> list[float]:
    import math

    from springback.models.score import token_logprobs

    start = _start_token(model)
    bits = [0.0 if start is not None else math.log2(model.network.config.get_text_config().vocab_size) for _ in files]
    done, total = 0, sum(map(len, files))
    for group in _groups(_windows(files, start, policy)):
        for (index, row), logprobs in zip(group, token_logprobs(model.network, [row for _, row in group]), strict=True):
            bits[index] -= float(logprobs.sum()) / math.log(2)
            done += len(row.answer)
        report(done, total)
    return bits


def _windows(files: Sequence[Sequence[int]], start: int | None, policy: Policy) -> Iterator[tuple[int, "Row"]]:
    from springback.models.rows import Row

    for index, ids in enumerate(files):
        tokens = tuple(ids) if start is None else (start, *ids)
        for context, first, upto in spans(len(tokens), window=policy.window, stride=policy.stride):
            yield index, Row(tokens[context:first], tokens[first:upto], 0, 0)


def _groups(windows: Iterator[tuple[int, "Row"]]) -> Iterator[list[tuple[int, "Row"]]]:
    group: list[tuple[int, Row]] = []
    for item in windows:
        group.append(item)
        if sum(len(row) for _, row in group) >= GROUP_TOKENS:
            yield group
            group = []
    if group:
        yield group


def _policy(model: "LanguageModel", config: CompressConfig) -> Policy:
    window = min(model.context, LONGEST) if config.window is None else config.window
    stride = max(1, window // 2) if config.stride is None else config.stride
    if not 1 <= window <= model.context:
        raise RefusedError(
            f"The window must hold 1 to {model.context} tokens (the model's context): {window} was given.",
            kind="option", where="--window", next=f"Give --window {min(model.context, LONGEST)}.",
        )  # fmt: skip
    if not 1 <= stride <= window:
        raise RefusedError(
            f"The stride must be 1 to {window} tokens (the window), or tokens would be left out: {stride} was given.",
            kind="option", where="--stride", next=f"Give --stride {max(1, window // 2)}.",
        )  # fmt: skip
    start = _start_token(model)
    bos = None if start is None else str(model.tokenizer.convert_ids_to_tokens(start))
    return Policy(bos, None, window, stride)


def _start_token(model: "LanguageModel") -> int | None:
    """The tokenizer's beginning of text, else its end of text (as GPT-2 was trained), else none."""
    tokenizer: Any = model.tokenizer
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def _tokens(model: "LanguageModel", text: str) -> list[int]:
    """The text's tokens and no others; `<|im_end|>` written in a file is text, not a stop token."""
    return model.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def _doubts(model: "LanguageModel", texts: Sequence[Text], ids: Sequence[list[int]]) -> Iterator[str]:
    for text, tokens in zip(texts, ids, strict=True):
        if model.tokenizer.decode(tokens, clean_up_tokenization_spaces=False) != text.text:
            yield f"{text.file}: the tokenizer does not give this text back; γ is that of its normalised form"
    if len(texts) == 1:
        yield "one file: γ has no interval over files"


def as_json(measured: Any) -> dict[str, Any]:
    """A measured number; the interval is left out where one file gives none."""
    return {name: value for name, value in measured.json().items() if value is not None}
