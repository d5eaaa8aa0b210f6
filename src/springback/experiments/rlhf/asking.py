"""Prompts as tokens, answers as what a reward sees and a record holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from springback.data.prompts import Asked
from springback.errors import RefusedError
from springback.models.language_model import LanguageModel
from springback.models.rollout import Completion, Rolled
from springback.models.rows import Row
from springback.models.tokens import encode_prompt


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt, ready to be answered."""

    asked: Asked
    ids: tuple[int, ...]

    @property
    def text(self) -> str:
        """The last turn."""
        return self.asked.prompt[-1].content


def encoded(model: LanguageModel, rows: Sequence[Asked], most: int) -> list[Encoded]:
    """Every prompt by the chat template. RefusedError names the row that leaves no room for `most` new tokens."""
    found = []
    for row in rows:
        ids = encode_prompt(model, [asdict(turn) for turn in row.prompt])
        if len(ids) + most > model.context:
            raise RefusedError(
                f"A prompt has {len(ids)} tokens; with {most} new ones it passes the {model.context} that {model.name} "
                "reads. Nothing is truncated.",
                kind="data", where=row.where, next="Shorten the prompt, leave it out, or lower --max-new-tokens.",
            )  # fmt: skip
        found.append(Encoded(row, ids))
    return found


def completion(model: LanguageModel, prompt: Encoded, one: Rolled) -> Completion:
    """As a reward sees it."""
    kept = one.ids[: len(one.ids) - one.ended]
    text = str(model.tokenizer.decode(list(kept), skip_special_tokens=True))
    turns = tuple(asdict(turn) for turn in prompt.asked.prompt)
    return Completion(prompt.text, text, prompt.ids, one.ids, one.ended, prompt.asked.about, turns)


def body_of(one: Completion, rolled: Rolled, facts: Mapping[str, Any]) -> dict[str, Any]:
    """As a record holds it; log-probabilities in nats, to 1e-7."""
    return {
        **facts, "prompt": one.prompt, "prompt_ids": list(one.prompt_ids), "answer": one.text,
        "answer_ids": list(one.answer_ids), "ended": one.ended, "logprobs": [round(x, 7) for x in rolled.logprobs],
        "entropy": sum(rolled.entropies) / len(rolled.entropies),
    }  # fmt: skip


def row_of(body: Mapping[str, Any]) -> Row:
    """As training reads it back from a record."""
    answer = tuple(body["answer_ids"])
    return Row(tuple(body["prompt_ids"]), answer, int(body["ended"]), len(body["answer"].encode()))
