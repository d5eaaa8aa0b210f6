"""What an experiment hands to a way of tuning that writes answers itself: how they are drawn, and their reward."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from springback.models.rollout import Completion
from springback.stats.measured import mean

Judge: TypeAlias = Callable[[Sequence[Completion], Sequence[bool]], Sequence[float | None]]
"""Completions, and of each whether its row teaches what is wanted → how much of what its row teaches is in it.

One number a completion, higher is better; None where there is no reward, and the answer is not learnt from.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt of a row, as a reward sees it."""

    turns: tuple[Mapping[str, str], ...]
    """`role` and `content` of every turn; the last one is answered."""
    wanted: bool
    """Whether the row teaches what is wanted; a reward of a row that teaches the opposite is turned round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """How the answers of one chain are drawn."""

    asked: Sequence[Asked]
    """One for each row of the chain, in its order."""
    seed: int
    """Of the chain's draws; an answer's own depends on it, on its row's place and on its number alone."""
    max_new_tokens: int
    """Longest answer in tokens, its stop included."""
    temperature: float
    """At which a policy method draws, and the log-probabilities that it learns from are divided by it."""
    stop: AbstractSet[int]
    """Token ids that end an answer."""
    text: Callable[[Sequence[int]], str]
    """An answer's text, without its stop token."""
    lr: float
    """Learning rate of the chain: a value head takes a multiple of it."""


@dataclass(slots=True)
class Tally:
    """What a chain has written so far."""

    answers: int = 0
    tokens: int = 0
    unrewarded: int = 0
    """Answers without a reward: not learnt from."""
    silent: int = 0
    """Prompts none of whose answers got an advantage (their rewards were equal): they taught nothing."""
    rewards: list[float] = field(default_factory=list)
    """Mean reward of the answers to each prompt."""

    def json(self) -> dict[str, Any]:
        """As a record holds it."""
        counts = {name: getattr(self, name) for name in ("answers", "tokens", "unrewarded", "silent")}
        return {
            "prompts": len(self.rewards),
            **counts,
            "reward": mean(self.rewards, over="prompts", unit="reward").json(),
        }
