"""Forward passes over many prompts with their answers, of which only the answers' positions are computed again.

    prompt without its last token | last prompt token, answer without its last token
    in the cache, encoded once    | the answer's positions: each predicts one answer token

A layer curve runs the second part once per layer. Rows of a batch share the cut at the shortest prompt; what a longer
prompt has beyond it is computed again. Nothing is padded on the left, so no mask and no positions have to be told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn
from transformers.cache_utils import Cache

from springback.models.cache import cut
from springback.models.layout import Layout
from springback.models.readout import read, route
from springback.models.rows import Row, batches, pad_right

BATCH_TOKENS = 1024
"""Default size of a padded batch in tokens."""
LOGIT_ROWS = 256
"""Positions whose logits over the whole vocabulary exist at one time."""


@dataclass(frozen=True, slots=True)
class AnswerPass:
    """One batch, ready to be run as often as needed; every run begins from the same untouched prefix."""

    network: nn.Module
    indices: list[int]
    """Which of the given rows these are."""
    ids: Int[Tensor, "batch time"]
    """What is computed at each run: the tokens after the prefix, padded on the right."""
    answers: Bool[Tensor, "batch time"]
    """The positions that predict answer tokens, the stop among them."""
    targets: tuple[Int[Tensor, " _"], ...]
    """What these positions predict, per row."""
    prefix: Cache | None
    """Keys and values of the tokens before `ids`."""

    def logprobs(self) -> Float64[Tensor, " row"]:
        """Log p(answer and stop | prompt) of each row in nats: one run of the network as it stands, hooks included."""
        inputs = {"input_ids": self.ids, "use_cache": self.prefix is not None}
        if self.prefix is not None:
            inputs["past_key_values"] = cut(self.prefix, self.prefix.get_seq_length())
        reading = read(self.network, inputs, self.answers)
        parts = zip(reading.logits(LOGIT_ROWS), torch.cat(self.targets).split(LOGIT_ROWS), strict=True)
        tokens = torch.cat([_chosen(logits, targets) for logits, targets in parts])
        return torch.stack([row.sum() for row in tokens.split([len(row) for row in self.targets])])


def passes(
    network: nn.Module, layout: Layout, rows: Sequence[Row], *, batch_tokens: int = BATCH_TOKENS
) -> Iterator[AnswerPass]:
    """The rows in batches of at most `batch_tokens` tokens. To be iterated, and run, under `readout.quiet`.

    ValueError for a row without prompt or answer: its first token is predicted from nothing.
    """
    for index, row in enumerate(rows):
        if not row.prompt or not row.answer:
            raise ValueError(
                f"Row {index} has {len(row.prompt)} prompt and {len(row.answer)} answer tokens: both need one"
            )
    route(network)  # found out before any hook is set: it runs the network
    for indices in batches([len(row) - 1 for row in rows], tokens=batch_tokens):
        yield _prepared(network, layout, indices, [rows[index] for index in indices])


def _prepared(network: nn.Module, layout: Layout, indices: list[int], rows: Sequence[Row]) -> AnswerPass:
    device = next(network.parameters()).device
    ids = pad_right([row.prompt + row.answer[:-1] for row in rows]).ids.to(device)
    shared = min(len(row.prompt) for row in rows) - 1
    prefix = _encoded(network, ids, shared) if layout.cached and shared else None
    begin = 0 if prefix is None else shared
    place = begin + torch.arange(ids.shape[1] - begin)
    first = torch.tensor([[len(row.prompt) - 1] for row in rows])
    length = torch.tensor([[len(row.answer)] for row in rows])
    answers = (place >= first) & (place < first + length)
    targets = tuple(torch.tensor(row.answer) for row in rows)
    return AnswerPass(network, indices, ids[:, begin:], answers.to(device), targets, prefix)


def _encoded(network: nn.Module, ids: Int[Tensor, "batch time"], length: int) -> Cache:
    """The prompts' beginnings in the cache; sliding windows keep what the rest can still see."""
    wanted = torch.zeros_like(ids[:, :length], dtype=torch.bool)
    cache = read(network, {"input_ids": ids[:, :length], "use_cache": True}, wanted).cache
    assert isinstance(cache, Cache), "the layout was proven with a cache"
    return cache


def _chosen(logits: Float[Tensor, "row vocab"], targets: Int[Tensor, " row"]) -> Float64[Tensor, " row"]:
    picked = logits.float().log_softmax(dim=-1).gather(-1, targets[:, None].to(logits.device))
    return picked.squeeze(-1).cpu().double()
