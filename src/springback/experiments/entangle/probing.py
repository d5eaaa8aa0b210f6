"""Two answers more to a pair's prompt: what the model would say itself, and one that has nothing to do with it.

If both answers of a pair fall and the greedy one rises, mass was displaced to it; if an unrelated one falls too, the
model shrinks from long texts as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from springback.experiments.entangle.loading import Loaded
from springback.models.generate import sample
from springback.models.rows import Row
from springback.models.tokens import stop_ids

NAMES = ("greedy", "unrelated")


@dataclass(frozen=True, slots=True)
class Probes:
    """The rows that there are, by name."""

    by_name: dict[str, Row]
    texts: dict[str, str]
    ended: bool
    """Whether the greedy answer stopped by itself; else it was cut."""

    @property
    def rows(self) -> list[Row]:
        return list(self.by_name.values())

    def body(self, changes: Sequence[float]) -> dict[str, Any]:
        """By probe: tokens, text and the predicted change; None for a probe that there is not."""
        found = {
            name: {"tokens": len(row.answer), "text": self.texts[name], "change": change}
            for (name, row), change in zip(self.by_name.items(), changes, strict=True)
        }
        return {**{name: found.get(name) for name in NAMES}, "greedy_ended": self.ended}


def probes(loaded: Loaded, index: int, tokens: int) -> Probes:
    """The greedy answer to a pair's prompt, at most so many tokens, and the chosen answer of the next pair."""
    prompt = loaded.pairs[index].chosen.prompt
    context = loaded.model.context
    rows: dict[str, Row] = {}
    (greedy,) = sample(loaded.network, [prompt], max_new_tokens=max(1, min(tokens, context - len(prompt))),
                       stop=stop_ids(loaded.model), temperature=0.0)  # fmt: skip
    rows["greedy"] = Row(prompt, greedy.ids, int(greedy.ended), 0)
    other = loaded.pairs[(index + 1) % len(loaded.pairs)].chosen
    if len(loaded.pairs) > 1 and len(prompt) + len(other.answer) <= context:
        rows["unrelated"] = Row(prompt, other.answer, other.stop, other.answer_bytes)
    texts = {name: str(loaded.model.tokenizer.decode(list(row.answer))) for name, row in rows.items()}
    return Probes(rows, texts, greedy.ended)
