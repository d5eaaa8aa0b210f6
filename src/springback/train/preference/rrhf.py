"""Rank Responses to align Human Feedback (Yuan et al., 2023): a hinge on every pair of a list, the best answer learned.

    ℓ = rank · Σ_{rel_i > rel_j} max(0, μ_j − μ_i) − log π(y_best | x),   μ = log π(y|x) / |y|

No reference and no margin: a pair in the right order is left alone, however close, and only the likelihood of the best
answer keeps the model near its data.

Who does what: in the paper both terms weigh 1 and the likelihood is summed over tokens: `rrhf`. The authors'
code weighs the ranks 100 by default and takes the likelihood's mean over tokens: `rrhf_mean`. Code for the paper on
gradient entanglement has that mean with weight 1: `rrhf_mean:rank=1`.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch

from springback import papers
from springback.train.preference import checks
from springback.train.preference.lists import ListLogprobs, PerPrompt, apart
from springback.train.preference.method import Law, Need


@dataclass(frozen=True, slots=True)
class RRHF:
    """The paper's: log-likelihood of the best answer summed over its tokens."""

    paper: ClassVar = papers.RRHF
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "lowers the rejected answer",
            "only the margin matters",
            "length does not matter",
            "repetition does not matter",
            "the reference matters",
        }
    )
    formula: ClassVar = "rank Σ_{i better than j} [μ_j − μ_i]₊ − log π(best)"

    rank: float = 1.0
    """Weight of the hinges."""

    def __post_init__(self) -> None:
        checks.at_least_zero(rank=self.rank)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs | None = None) -> PerPrompt:
        del reference
        return self.rank * _out_of_order(policy) - policy.best


@dataclass(frozen=True, slots=True)
class RRHFMean:
    """The authors' code: log-likelihood of the best answer as a mean over its tokens."""

    paper: ClassVar = papers.RRHF
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = RRHF.breaks - {"repetition does not matter"}
    formula: ClassVar = "rank Σ_{i better than j} [μ_j − μ_i]₊ − μ_best"

    rank: float = 100.0
    """Weight of the hinges, `rrhf_weight` there."""

    def __post_init__(self) -> None:
        checks.at_least_zero(rank=self.rank)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs | None = None) -> PerPrompt:
        del reference
        return self.rank * _out_of_order(policy) - policy.best_mean


def _out_of_order(policy: ListLogprobs) -> PerPrompt:
    hinges = torch.relu(-apart(policy.mean))
    return hinges.where(policy.better, 0.0).sum(dim=(1, 2))
