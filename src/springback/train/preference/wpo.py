"""Weighted Preference Optimization (Zhou et al., 2024): pairs that the policy would not write count less.

    ℓ = w · (−log σ(β Δ)),   w = exp(ω(y_w) + ω(y_l)),   ω(y) = (1/|y|) Σ_t [log π(y_t) − log Σ_v π(v)²]

w is a constant to the gradient. Its denominator is what a sampled token's probability is on average, so answers of the
policy's own weigh about 1. It cannot tell whether an answer is *good*: an unlikely correct one is ignored, and as
d_w = d_l stays, no pair is disentangled by it.

Who does what: the paper's formula and TRL leave w unbounded (`wpo`); the authors' code clamps it at 1 (`wpo_clamped`).
An empty answer has ω = 0.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class WPO:
    """Weights as the paper writes them."""

    paper: ClassVar = papers.WPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths", "collision"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "only the margin matters",
            "the gradient is the slope",
            "length does not matter",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "−w log σ(βΔ), w = exp(mean_t [log π_t − log Σ_v π(v)²] of both answers), detached"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return _weight(policy) * _dpo(self.beta, policy, reference)


@dataclass(frozen=True, slots=True)
class WPOClamped:
    """Weights of at most 1, as in the authors' code."""

    paper: ClassVar = papers.WPO
    needs: ClassVar[AbstractSet[Need]] = WPO.needs
    breaks: ClassVar[AbstractSet[Law]] = WPO.breaks
    formula: ClassVar = "−min(w, 1) log σ(βΔ), w of `wpo`"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return _weight(policy).clamp_max(1) * _dpo(self.beta, policy, reference)


def _weight(policy: PairLogprobs) -> PerPair:
    collision, lengths = given(policy.collision, "collision"), policy.lengths
    chosen = policy.mean.chosen - collision.chosen.sum(dim=1) / lengths.chosen.clamp_min(1)
    rejected = policy.mean.rejected - collision.rejected.sum(dim=1) / lengths.rejected.clamp_min(1)
    return torch.exp(chosen + rejected).detach()


def _dpo(beta: float, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
    return -F.logsigmoid(beta * policy.over(reference).margin)
