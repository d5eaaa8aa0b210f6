"""Traps of chat templates and tokenizers."""

from typing import Final

from springback.experiments.traps.check import EMPTY, QUESTION, Found
from springback.models.language_model import LanguageModel
from springback.models.tokens import encode, encode_prompt, prompt_text

TEXT: Final = "Line one.\n\n  Zwei Wörter, 1,024 tokens; 안녕 \U0001f642\tend"


def stop_token(model: LanguageModel) -> Found:
    """Padding with the end token must not take the end out of what is learnt and measured."""
    row = encode(model, [QUESTION], "Paris.")
    same = " although it is the padding token too" if row.answer[-1] == model.tokenizer.pad_token_id else ""
    return Found("pass", f"an answer ends with {model.tokenizer.convert_ids_to_tokens(row.answer[-1])}, a target{same}")


def default_system_prompt(model: LanguageModel) -> Found:
    """Some templates write a system prompt when none is given; an explicit empty turn must keep it away."""
    silent, empty = prompt_text(model, [QUESTION]), prompt_text(model, [EMPTY, QUESTION])
    if len(silent) <= len(empty):
        return Found("pass", "the template adds no system prompt")
    start = _shared(silent, empty)
    end = _shared(silent[start:][::-1], empty[start:][::-1])
    added = silent[start : len(silent) - end].strip()
    return Found("pass", f"without a system turn the template adds {added[:100]!r}; an empty system turn prevents it")


def one_beginning(model: LanguageModel) -> Found:
    """A rendered template that is tokenised again may get a second beginning-of-text token."""
    ids, first = encode_prompt(model, [EMPTY, QUESTION]), model.tokenizer.bos_token_id
    if first is not None and ids[:2] == (first, first):
        return Found("fail", "the prompt begins with two beginning-of-text tokens")
    return Found("pass", "no second beginning-of-text token")


def joint_tokens(model: LanguageModel) -> Found:
    """Prompt and answer tokenised apart may not be the tokens of the whole."""
    apart = [answer for answer in ("Paris", " Paris", "\nParis", "1") if not _is_whole(model, answer)]
    if apart:
        return Found("pass", f"an answer that begins like {apart[0]!r} would melt into the prompt; it is kept apart")
    return Found("pass", "prompt and answer apart are the tokens of the whole")


def text_returns(model: LanguageModel) -> Found:
    """Text to tokens and back: what is lost is not measured."""
    back = model.tokenizer.decode(model.tokenizer(TEXT, add_special_tokens=False)["input_ids"])
    if back == TEXT:
        return Found("pass", "text comes back from its tokens")
    return Found("fail", f"{TEXT!r} comes back as {back!r}")


def template_clock(model: LanguageModel) -> Found:
    """A template that writes today's date gives another prompt tomorrow."""
    if "strftime_now" in model.template:
        return Found("pass", "the template asks for the date; it is always told 26 July 2024")
    return Found("pass", "the template does not ask for the date")


def _shared(one: str, other: str) -> int:
    """Characters that two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _is_whole(model: LanguageModel, answer: str) -> bool:
    row = encode(model, [QUESTION], answer)
    text = model.tokenizer.decode([*row.prompt, *row.answer])
    return tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"]) == row.prompt + row.answer
