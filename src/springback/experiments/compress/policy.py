"""The policy that a configuration comes to under a model, refused where it would leave tokens out or be ignored."""

from typing import Any, NamedTuple

from springback.errors import RefusedError
from springback.experiments.compress.config import LONGEST, CompressConfig, Policy
from springback.models.language_model import LanguageModel


class Ends(NamedTuple):
    """Token ids around a text; None where there is none."""

    bos: int | None
    eos: int | None


def policy_of(model: LanguageModel, config: CompressConfig) -> tuple[Policy, Ends]:
    """Windows and ends, in words and as ids. Of answers the ids are the template's, so none stand here."""
    window, stride = _windows(model, config)
    if config.read == "answers":
        return Policy(None, _stop(model, config), window, stride), Ends(None, None)
    ends = Ends(_start(model, config.bos), _eos(model) if config.eos == "count" else None)
    return Policy(_word(model, ends.bos), _word(model, ends.eos), window, stride), ends


def _windows(model: LanguageModel, config: CompressConfig) -> tuple[int, int]:
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
    return window, stride


def _start(model: LanguageModel, bos: str) -> int | None:
    """Auto is the beginning of text, else the end of text (as GPT-2 was trained)."""
    tokenizer: Any = model.tokenizer
    if bos == "none":
        return None
    if bos == "auto":
        return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    found = tokenizer.get_vocab().get(bos)
    if found is None:
        raise RefusedError(
            f"{bos} is no token of {model.name}.", kind="option", where="--bos",
            next=f"Give auto, none or a token such as {tokenizer.eos_token}.",
        )  # fmt: skip
    return found


def _stop(model: LanguageModel, config: CompressConfig) -> str | None:
    if config.bos != "auto":
        raise RefusedError(
            "The chat template writes what stands before an answer: --bos would be ignored.",
            kind="option", where="--bos", next="Leave --bos out, or give --read text.",
        )  # fmt: skip
    if config.eos == "leave":
        return None
    from springback.models.tokens import encode

    return _word(model, encode(model, [{"role": "user", "content": "a"}], "b").answer[-1])


def _eos(model: LanguageModel) -> int:
    return int(model.tokenizer.eos_token_id)  # pyright: ignore[reportArgumentType]  # load refuses one without


def _word(model: LanguageModel, token: int | None) -> str | None:
    return None if token is None else str(model.tokenizer.convert_ids_to_tokens(token))
