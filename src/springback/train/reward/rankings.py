"""What a ranking loss sees: the scores of the answers to each prompt, and how good the answers are.

A pair is a list of two answers, the chosen one with relevance 1, the rejected one with 0.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from springback.papers import Paper

PerPrompt: TypeAlias = Float[Tensor, " prompt"]
PerPair: TypeAlias = Float[Tensor, "prompt answer answer"]

Law = Literal[
    "a constant added to a prompt's scores changes nothing",
    "the order of the answers does not matter",  # also where relevances or scores are equal
    "two answers give Bradley-Terry",
    "equal answers are left alone",  # answers of equal relevance do not move one another
]
"""What would be expected of a ranking loss, and does not hold for all. A member's `breaks` names those that it breaks;
the tests hold every member to the others, and to breaking what it says it breaks."""


@dataclass(frozen=True, slots=True)
class Rankings:
    """Scores of K answers to each prompt. Shorter lists are filled up, `real` says where."""

    scores: Float[Tensor, "prompt answer"]
    """r(x, y), without unit; a difference of 1 is odds of e."""
    relevance: Float[Tensor, "prompt answer"]
    """How good each answer is; higher is better."""
    real: Bool[Tensor, "prompt answer"] | None = None
    """False where there is no answer; None where all are real."""
    margin: PerPrompt | None = None
    """By how much the better answers should win at least, where the data says so for a whole prompt."""

    @property
    def there(self) -> Bool[Tensor, "prompt answer"]:
        """`real`, with nothing left open."""
        return torch.ones_like(self.relevance, dtype=torch.bool) if self.real is None else self.real

    @property
    def better(self) -> Bool[Tensor, "prompt answer answer"]:
        """Whether answer i (second axis) is better than answer j (third axis)."""
        both = self.there[:, :, None] & self.there[:, None, :]
        return (self.relevance[:, :, None] > self.relevance[:, None, :]) & both

    @property
    def differences(self) -> PerPair:
        """r_i − r_j; 0 where one of the two is no answer."""
        there = self.there
        scores = self.scores.where(there, 0.0)
        return (scores[:, :, None] - scores[:, None, :]).where(there[:, :, None] & there[:, None, :], 0.0)


@runtime_checkable
class RankingLoss(Protocol):
    """A member of the family: a frozen dataclass whose fields are its options."""

    paper: ClassVar[Paper]
    breaks: ClassVar[frozenset[Law]]
    needs_margins: ClassVar[bool]
    """Whether it reads margins: the data's own, or differences of stated scores."""

    def __call__(self, answers: Rankings) -> Any:
        """Loss of each prompt in nats; 0 for a prompt with one answer."""
        ...


def mean_over(values: PerPair, pairs: Bool[Tensor, "prompt answer answer"]) -> PerPrompt:
    """Mean over a prompt's pairs; 0 where there is none."""
    return values.where(pairs, 0.0).sum((1, 2)) / pairs.sum((1, 2)).clamp_min(1)
