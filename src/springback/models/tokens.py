"""Messages and answers as token ids: the prompt through the chat template, the answer by prefix difference."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from springback.errors import RefusedError
from springback.models import templates
from springback.models.language_model import LanguageModel
from springback.models.rows import Row

__all__ = ["Row", "encode", "encode_prompt", "prompt_text", "stop_ids"]

Messages = Sequence[Mapping[str, str]]


def encode(model: LanguageModel, prompt: Messages, answer: str) -> Row:
    """One answer to one prompt: ids of both, the turn's stop token the answer's last.

    The prompt is the template's text with its generation prompt; the answer is what the template writes after it,
    up to and including the first control token behind the text. What follows that token (a line feed in ChatML) is no
    target. White space that a template puts around the answer belongs to the answer. Where prompt and answer would
    melt into one token, the answer is tokenised by itself, as a model that writes after this prompt would have to.
    `answer_bytes` counts the text that the template wrote: some trim it.

    Raises:
        RefusedError: the template does not make prompt + answer a continuation of the prompt, changes the answer, ends
            the turn without a control token, or a text contains a control token.
    """
    _require_no_control_tokens(model, [*prompt, {"role": "assistant", "content": answer}])
    before = prompt_text(model, prompt)
    after = _rest(_render(model, [*prompt, {"role": "assistant", "content": answer}]), before)
    written = _written(after, answer)
    prompt_ids, ids = _split(model, before, after)
    end = _first_control(model, ids)
    return Row(prompt_ids, ids[: end + 1], stop=1, answer_bytes=len(written.encode()))


def encode_prompt(model: LanguageModel, messages: Messages) -> tuple[int, ...]:
    """Ids of the prompt with the generation prompt: what `encode` gives as `prompt`."""
    _require_no_control_tokens(model, messages)
    return _ids(model, prompt_text(model, messages))


def prompt_text(model: LanguageModel, messages: Messages) -> str:
    """The text that the model is given to answer."""
    return _render(model, messages, add_generation_prompt=True)


def stop_ids(model: LanguageModel) -> frozenset[int]:
    """Tokens that end an answer: the end tokens that model and tokenizer declare, and the one the template writes."""
    declared = (
        model.tokenizer.eos_token_id,
        getattr(model.network.config, "eos_token_id", None),
        getattr(model.network.generation_config, "eos_token_id", None),
    )
    known: set[Any] = {token for value in declared for token in (value if isinstance(value, list) else [value])}
    written = encode(model, [{"role": "user", "content": "a"}], "b").answer[-1]
    return frozenset(token for token in known | {written} if token is not None)


def _render(model: LanguageModel, messages: Messages, *, add_generation_prompt: bool = False) -> str:
    variables = templates.variables_of(model.tokenizer)
    try:
        return templates.render(model.template, messages, variables, add_generation_prompt=add_generation_prompt)
    except templates.TemplateFailedError as error:
        spoken = [message for message in messages if message["role"] != "system" or message["content"]]
        if len(spoken) == len(messages):
            raise templates.refused(f"{error} (roles {', '.join(m['role'] for m in messages)})") from error
    # An empty system turn says nothing; a template that knows no system turn loses nothing without it.
    return _render(model, spoken, add_generation_prompt=add_generation_prompt)


def _rest(whole: str, before: str) -> str:
    if not whole.startswith(before):
        raise templates.refused("the prompt it writes is not a beginning of the conversation it writes")
    return whole[len(before) :]


def _written(after: str, answer: str) -> str:
    """The answer as it stands at the beginning of what the template wrote."""
    for text in (answer, answer.strip()):
        start = len(after) - len(after.lstrip()) if not after.startswith(text) else 0
        if after.startswith(text, start):
            return text
    raise templates.refused(f"it writes {after[:40]!r} where the answer {answer[:40]!r} should stand")


def _split(model: LanguageModel, before: str, after: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    prompt, whole = _ids(model, before), _ids(model, before + after)
    if whole[: len(prompt)] == prompt:
        return prompt, whole[len(prompt) :]
    alone = _ids(model, after)
    if model.tokenizer.decode([*prompt, *alone]) != model.tokenizer.decode([*whole]):
        raise templates.refused("the answer cannot be tokenised apart from the prompt without changing its text")
    return prompt, alone


def _first_control(model: LanguageModel, ids: Sequence[int]) -> int:
    control = _control_ids(model)
    found = next((index for index, token in enumerate(ids) if token in control), None)
    if found is None:
        raise templates.refused("it ends the assistant's turn without a control token, so an end cannot be learnt")
    return found


def _ids(model: LanguageModel, text: str) -> tuple[int, ...]:
    return tuple(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _control_tokens(model: LanguageModel) -> Mapping[str, int]:
    return _control_tokens_of(model.tokenizer)


def _control_ids(model: LanguageModel) -> frozenset[int]:
    return frozenset(_control_tokens(model).values())


@lru_cache(maxsize=8)
def _control_tokens_of(tokenizer: Any) -> Mapping[str, int]:
    added = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))


def _require_no_control_tokens(model: LanguageModel, messages: Messages) -> None:
    for message in messages:
        found = next((token for token in _control_tokens(model) if token in message["content"]), None)
        if found is not None:
            raise RefusedError(
                f"A {message['role']} text contains {found}, which this tokenizer reads as a control token.",
                kind="data",
                where=message["content"][:80],
                next="Take the token out of the text or write it otherwise.",
            )
