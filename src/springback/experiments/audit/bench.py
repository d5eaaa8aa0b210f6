"""What every point of an audit is measured with: the same prompts, pairs and texts, the start beside it, one scorer."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.experiments.audit.config import Audit
from springback.judge.quality import State, state
from springback.judge.scorer import Scorer
from springback.models.language_model import LanguageModel
from springback.models.rows import Row


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to sample from: its last turn, its tokens, and the opposite answer that can be forced on it."""

    text: str
    ids: tuple[int, ...]
    opposite: tuple[int, ...]
    """Tokens of the held-out opposite answer to this prompt, its stop left out."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Fixed for a whole run; what depends on the seed comes with `Answers` of the start."""

    model: LanguageModel
    """The start's tokenizer, template and name."""
    start: Callable[[], AbstractContextManager[torch.nn.Module]]
    """The start's network while the context lasts: a second copy, or the tuned one with its adapter off."""
    prompts: tuple[Prompt, ...]
    wanted: tuple[Row, ...]
    opposite: tuple[Row, ...]
    """Held-out pairs: `wanted[i]` and `opposite[i]` belong together."""
    neutral: tuple[Row, ...]
    scorer: Scorer
    stop: frozenset[int]
    config: Audit
    held_out: tuple[str, ...]
    """Both answers of every held-out pair: what this data's answers look like, refusals included."""

    def state(self, texts: Sequence[str]) -> State:
        """Whether these are answers, or the model repeats itself, says nothing or refuses what the data answers."""
        return state(texts, data=self.held_out)

    def text(self, ids: Sequence[int]) -> str:
        """An answer's text, without its stop token."""
        kept = [token for token in ids if token not in self.stop]
        return str(self.model.tokenizer.decode(kept, skip_special_tokens=True))


@dataclass(frozen=True, slots=True)
class Answers:
    """One sampled answer to each prompt, as rows to score."""

    rows: tuple[Row, ...]
    ended: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Along:
    """The start's own answers and its logits along them, computed once for a whole run."""

    answers: Answers
    logits: tuple[Tensor, ...]
    """One [time, vocab] tensor an answer, in the compute dtype."""


Network = torch.nn.Module
