"""Traps of the forward pass: padding, positions, cache, dropout, the last norm."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from springback.experiments.traps.check import EMPTY, QUESTION, Found
from springback.models.language_model import LanguageModel
from springback.models.tokens import encode

TOLERANCE: Final = 1e-3
"""Of the largest logit: what padding and caching may change in float32; a wrong position changes far more."""


def right_padding(model: LanguageModel) -> Found:
    """A short row beside a longer one, padded behind."""
    short, long, gap = _rows(model)
    ids, mask = _stack([[*short, *gap], long]), _stack([[*[1] * len(short), *gap], [1] * len(long)])
    found = _logits(model, ids, attention_mask=mask)[0, len(short) - 1]
    return _alike(found, _logits(model, _stack([short]))[0, -1], "padded behind and alone")


def left_padding(model: LanguageModel) -> Found:
    """A short row beside a longer one, padded in front, positions counted from its own first token."""
    short, long, gap = _rows(model)
    ids, mask = _stack([[*gap, *short], long]), _stack([[*gap, *[1] * len(short)], [1] * len(long)])
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    found = _logits(model, ids, attention_mask=mask, position_ids=places)[0, -1]
    return _alike(found, _logits(model, _stack([short]))[0, -1], "padded in front and alone")


def cache(model: LanguageModel) -> Found:
    """The last token after a cached prefix, and in one pass."""
    network: Any = model.network
    ids = _stack([_rows(model)[1]]).to(network.device)
    held = getattr(network(input_ids=ids[:, :-1], use_cache=True), "past_key_values", None)
    if held is None:
        return Found("skip", "this architecture keeps no cache; answers are sampled without one")
    found = network(input_ids=ids[:, -1:], past_key_values=held, use_cache=True).logits[0, -1]
    return _alike(found, _logits(model, ids)[0, -1], "cached and in one pass")


def deterministic(model: LanguageModel) -> Found:
    """Dropout must be off: twice the same question is the same answer."""
    ids = _stack([_rows(model)[0]])
    if torch.equal(_logits(model, ids), _logits(model, ids)):
        return Found("pass", "two passes are equal to the bit")
    return Found("fail", "two passes over one text differ")


def final_norm(model: LanguageModel) -> Found:
    """The last of `hidden_states` is normed already in most architectures; a lens must not norm it again."""
    network: Any = model.network
    found = network(input_ids=_stack([_rows(model)[0]]).to(network.device), output_hidden_states=True)
    head = network.get_output_embeddings()
    if head is None or not found.hidden_states:
        return Found("skip", "the architecture shows no hidden states or no head")
    if _gap(head(found.hidden_states[-1]), found.logits) <= TOLERANCE:
        return Found("pass", "hidden_states[-1] is normed already and is not normed again")
    return Found("skip", "hidden_states[-1] is not what the head reads; it is not used")


def _rows(model: LanguageModel) -> tuple[list[int], list[int], list[int]]:
    """A short row, a long one, and what fills the short one up."""
    row = encode(model, [EMPTY, QUESTION], "The capital of France is Paris.")
    return list(row.prompt), list(row.prompt + row.answer), [0] * len(row.answer)


def _stack(rows: Sequence[list[int]]) -> Int[Tensor, "batch time"]:
    return torch.tensor(rows)


def _logits(model: LanguageModel, ids: Int[Tensor, "batch time"], **more: Tensor) -> Float[Tensor, "batch time vocab"]:
    network: Any = model.network
    return network(input_ids=ids.to(network.device), **{name: x.to(network.device) for name, x in more.items()}).logits


def _gap(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))


def _alike(found: Tensor, wanted: Tensor, how: str) -> Found:
    gap = _gap(found, wanted)
    return Found("pass" if gap <= TOLERANCE else "fail", f"{how}: logits differ by {gap:.1e} of the largest")
