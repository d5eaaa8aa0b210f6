"""Odds Ratio Preference Optimization (Hong et al., 2024), Eq. 6, and the form whose likelihood term covers the prompt.

    ORPO              ℓ = −μ_w − λ·log σ(logit p̄_w − logit p̄_l),   p̄ = exp(μ), μ = log π(y|x)/|y|
    ORPO with prompt  ℓ = −log π(x, y_w)/(|x| + |y_w|) − λ·log σ(…)                         TRL's

No reference and no SFT before it: the likelihood term *is* the SFT, so d_w > 0 always, and it dwarfs the odds ratio
at λ 0.1. TRL (`orpo_trainer`) takes the likelihood over prompt and answer; LLaMA-Factory over the answer, with
log1p(−exp), which is −inf where an answer's mean log-probability rounds to 0.

Departure: an answer of probability 1 (mean log-probability 0) has infinite odds; its mean is taken as one rounding
less.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.exponents import log_odds
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair

BREAKS: frozenset[Law] = frozenset(
    {"log 2 at the reference", "only the margin matters", "length does not matter", "the reference matters"}
)
REPEATED: frozenset[Law] = frozenset({"repetition does not matter"})


@dataclass(frozen=True, slots=True)
class ORPO:
    """The paper's: the likelihood of the answer."""

    paper: ClassVar = papers.ORPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "−μ_w − λ log σ(logit p̄_w − logit p̄_l)"

    beta: float = 0.1
    """Weight of the odds ratio, the paper's λ."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        return -policy.mean.chosen + self.beta * odds_ratio(policy)


@dataclass(frozen=True, slots=True)
class ORPOWithPrompt:
    """TRL's: the likelihood of prompt and answer."""

    paper: ClassVar = papers.ORPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths", "prompt"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS.union(REPEATED)
    formula: ClassVar = "−(log π(x) + log π_w)/(|x| + |w|) − λ log σ(logit p̄_w − logit p̄_l)"

    beta: float = 0.1
    """Weight of the odds ratio, the paper's λ."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        prompt = policy.its_prompt
        likelihood = (prompt.logprob + policy.chosen) / (prompt.tokens + policy.lengths.chosen).clamp_min(1)
        return -likelihood + self.beta * odds_ratio(policy)


def odds_ratio(policy: PairLogprobs) -> PerPair:
    """−log σ of the log odds ratio of the two mean probabilities."""
    return -F.logsigmoid(log_odds(policy.mean.chosen) - log_odds(policy.mean.rejected))
