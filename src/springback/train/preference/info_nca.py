"""Noise-contrastive alignment of K scored answers to one prompt (Chen et al., 2024): InfoNCA, and NCA beyond pairs.

    r = β [log π(y|x) − log π_ref(y|x)],   p = softmax over the K answers of rel / α
    InfoNCA:  ℓ = −Σ_i p_i log softmax(r)_i
    NCA:      ℓ = −Σ_i [ p_i log σ(r_i) + (1/K) log σ(−r_i) ]

InfoNCA fixes differences of r only (with K = 2 and α → 0 it is DPO), so all answers may fall together. NCA fixes each
r: an answer is pushed up while p_i σ(−r) > σ(r)/K. Both reach a target and stop: past it the best answer is pushed
down. Which target depends on α, in the units of the relevance; α → 0 takes the best answer alone.

Who does what: TRL has the pair form of NCA only (`nca`, here in `nca.py`: p = (1, 0)). The authors' code divides
its scores by `temperature_alpha`, this α; they write that their paper's α is its inverse.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.lists import ListLogprobs, PerPrompt
from springback.train.preference.method import Law, Need


@dataclass(frozen=True, slots=True)
class InfoNCA:
    """Cross-entropy between the relevance's distribution over a list and the policy's."""

    paper: ClassVar = papers.NCA
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter", "pushes the right way everywhere"})
    formula: ClassVar = "−Σ_i softmax(rel/α)_i log softmax(βr)_i over a list"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 1.0
    """Temperature of the relevance, in its units; smaller trusts the best answer more."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta, alpha=self.alpha)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs) -> PerPrompt:
        logits = _masked(self.beta * (policy.logprobs - reference.logprobs), policy).log_softmax(dim=1)
        return -(_target(policy, self.alpha) * logits).where(policy.present, 0.0).sum(dim=1)


@dataclass(frozen=True, slots=True)
class NCAList:
    """NCA for any K: each answer against noise, weighed by its relevance."""

    paper: ClassVar = papers.NCA
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "repetition does not matter",
            "log 2 at the reference",
            "pushes the right way everywhere",
            "only the margin matters",
        }
    )
    formula: ClassVar = "−Σ_i [softmax(rel/α)_i log σ(βr_i) + (1/K) log σ(−βr_i)] over a list"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 1.0
    """Temperature of the relevance, in its units; smaller trusts the best answer more."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta, alpha=self.alpha)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs) -> PerPrompt:
        rewards = self.beta * (policy.logprobs - reference.logprobs)
        size = policy.present.sum(dim=1, keepdim=True).clamp_min(1)
        terms = _target(policy, self.alpha) * F.logsigmoid(rewards) + F.logsigmoid(-rewards) / size
        return -terms.where(policy.present, 0.0).sum(dim=1)


def _target(policy: ListLogprobs, alpha: float) -> Float[Tensor, "prompt answer"]:
    return _masked(policy.relevance / alpha, policy).softmax(dim=1)


def _masked(scores: Float[Tensor, "prompt answer"], policy: ListLogprobs) -> Float[Tensor, "prompt answer"]:
    return scores.masked_fill(~policy.present, torch.finfo(scores.dtype).min)
