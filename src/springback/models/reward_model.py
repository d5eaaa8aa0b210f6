"""A reward model: a decoder with one number at the end of an answer, as `AutoModelForSequenceClassification` holds it.

    r(x, y) = w · h(x, y, stop)        h: the last hidden state at the answer's stop token, w: the scalar head, no bias

Which token that is comes from the row's length, never from looking for padding: a stop inside the prompt, a padding
token that is the stop, left or right padding, order and neighbours change nothing but rounding. Answers to one prompt
share it (`models/groups.py`) where that is exact. The head is float32 whatever the decoder computes in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from springback.errors import RefusedError
from springback.models.groups import Group, cheapest, tokens
from springback.models.language_model import LanguageModel
from springback.models.readout import accepts, quiet, read
from springback.models.rows import Row
from springback.models.tokens import Messages, encode

BATCH_TOKENS = 2048
"""Tokens of one pass while scoring; a longer answer stands alone."""

Asked: TypeAlias = "str | Messages"
"""A prompt: one user turn, or turns."""


class States(nn.Module):
    """A decoder whose "logits" are its last hidden states, so that what reads logits at chosen positions serves it."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder, self.same = decoder, nn.Identity()

    @property
    def config(self) -> Any:
        return self.decoder.config

    def get_decoder(self) -> nn.Module:
        return self.decoder

    def get_output_embeddings(self) -> nn.Module:
        return self.same

    def get_base_model(self) -> nn.Module:
        """Whose arguments a forward pass takes."""
        return self.decoder

    def forward(self, **arguments: Any) -> Any:
        out = self.decoder(**arguments)
        out["logits"] = out.last_hidden_state
        return out


@dataclass(frozen=True, slots=True)
class RewardModel:
    """A classifier with one label, and what must be known to score texts with it."""

    language: LanguageModel
    """Tokenizer, template, name and hashes; its network is the whole classifier."""
    states: States
    head: nn.Linear

    @property
    def network(self) -> PreTrainedModel:
        return self.language.network


def reward_model(language: LanguageModel, head: nn.Linear) -> RewardModel:
    """A classifier and its head, in evaluation mode: dropout is off, while training too."""
    decoder = language.network.base_model
    wide = torch.float64 if next(decoder.parameters()).dtype == torch.float64 else torch.float32
    head.to(next(decoder.parameters()).device, wide)
    language.network.eval()
    return RewardModel(language, States(decoder).eval(), head)


def row_scores(model: RewardModel, groups: Sequence[Group]) -> Float[Tensor, " row"]:
    """Scores of all rows of all groups with their graph, in their order; one forward pass.

    A group is several answers to one prompt. `ValueError` where its rows have other prompt tokens or no token.
    """
    if any(not row.answer for group in groups for row in group):
        raise ValueError("an answer has no token, not even its stop: there is nowhere to read a score")
    inputs = cheapest(model.states, [[_read_to_the_end(row) for row in group] for group in groups])
    states = read(model.states, inputs.arguments, inputs.wanted).states
    last = torch.tensor([len(row.answer) + 1 for group in groups for row in group]).cumsum(0) - 1
    return _scored(model, states[last.to(states.device)])


def masked_scores(
    model: RewardModel, ids: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"]
) -> Float[Tensor, " batch"]:
    """Scores of sequences that come padded, on whichever side: each read at its last real token, with its graph."""
    places = (real.long().cumsum(1) - 1).clamp_min(0)
    arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": real.long(), "use_cache": False}
    if accepts(model.states, "position_ids"):
        arguments["position_ids"] = places
    column = torch.arange(ids.shape[1], device=ids.device)
    last = torch.where(real, column, -1).max(dim=1).values
    if bool((last < 0).any()):
        raise ValueError("a sequence has no real token")
    states = model.states.decoder(**arguments).last_hidden_state
    return _scored(model, states[torch.arange(len(ids), device=ids.device), last])


def scores(
    model: RewardModel, answers: Sequence[tuple[Asked, str]], *, batch_tokens: int = BATCH_TOKENS
) -> list[float]:
    """The score of each (prompt, answer), in their order; higher is better, differences are log-odds.

    Answers to equal prompts share them. An answer that was cut off is scored as if it ended there. `RefusedError`
    for a text that the template refuses, or that is longer than the model reads.
    """
    rows = [encode(model.language, _turns(prompt), answer) for prompt, answer in answers]
    return scores_of_rows(model, rows, batch_tokens=batch_tokens)


def scores_of_rows(model: RewardModel, rows: Sequence[Row], *, batch_tokens: int = BATCH_TOKENS) -> list[float]:
    """The score of each row, in their order; `RefusedError` where one is longer than the model reads."""
    require_context(model.language, rows)
    found: dict[int, float] = {}
    with quiet(model.network):
        for batch in _batches(rows, batch_tokens):
            values = row_scores(model, [[rows[index] for index in group] for group in batch]).tolist()
            found |= dict(zip((index for group in batch for index in group), values, strict=True))
    return [found[index] for index in range(len(rows))]


def require_context(language: LanguageModel, rows: Sequence[Row]) -> None:
    """Nothing is truncated: a row that is too long is refused with its number."""
    for index, row in enumerate(rows):
        if len(row) > language.context:
            raise RefusedError(
                f"Answer {index} has {len(row)} tokens with its prompt, {language.name} reads {language.context}; "
                "nothing is truncated.",
                kind="data", where=f"answer {index}", next="Shorten it or leave it out.",
            )  # fmt: skip


def frozen(model: RewardModel) -> RewardModel:
    """The model with no gradient anywhere; the same object."""
    model.network.requires_grad_(requires_grad=False)
    return model


def named(model: RewardModel, **facts: Any) -> RewardModel:
    """The model with other facts about where it came from (`LanguageModel`'s fields)."""
    return replace(model, language=replace(model.language, **facts))


def _scored(model: RewardModel, states: Float[Tensor, "row width"]) -> Float[Tensor, " row"]:
    return F.linear(states.to(model.head.weight.dtype), model.head.weight, model.head.bias).squeeze(-1)


def _read_to_the_end(row: Row) -> Row:
    """A row whose last token is an input: one more stands behind it, which nobody reads."""
    return Row(row.prompt, (*row.answer, 0), row.stop, row.answer_bytes)


def _turns(prompt: Asked) -> Messages:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _batches(rows: Sequence[Row], most: int) -> list[list[list[int]]]:
    """Indices: batches of groups with one prompt, groups of like size together; by lengths and prompts alone."""
    groups: list[list[int]] = []
    latest: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        group = latest.get(row.prompt)
        if group is None or tokens([rows[i] for i in (*group, index)]) > most:
            latest[row.prompt] = group = []
            groups.append(group)
        group.append(index)
    size = {id(group): tokens([rows[i] for i in group]) for group in groups}
    found: list[list[list[int]]] = []
    for group in sorted(groups, key=lambda group: (size[id(group)], group[0])):
        if not found or size[id(group)] * (len(found[-1]) + 1) > most:
            found.append([])
        found[-1].append(group)
    return found
