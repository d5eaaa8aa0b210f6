"""Preference Ranking Optimization (Song et al., 2024): Plackett–Luce on mean log-probabilities.

    ℓ = Σ_{k<K} −log [ e^{μ_k/T_k^k} / Σ_{i≥k} e^{μ_i/T_k^i} ] − nll (K − 1)² log π(y_1 | x),   μ = log π(y|x) / |y|
    T_k^i = 1 / (rel_k − rel_i) for i > k,   T_k^k = min over i > k of T_k^i;   answers sorted, the most relevant first

No reference. The temperatures make the *differences* of relevance count: for ranks 1, 2, … they weigh far answers
more, for equal relevance they take a pair out. μ is negative, so a sharper own temperature also lowers the answer's own
term: with T_k^k < T_k^i the answer that the list likes best starts behind.

Who does what: the paper first states the loss without temperatures (`pro_plain`) and then with (`pro`); the authors'
code has them, sums the likelihood over tokens and weighs it 0.05 (K − 1)². For pairs of relevance 1 and 0 both agree.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.lists import ListLogprobs, PerPrompt, apart
from springback.train.preference.method import Law, Need

_BREAKS: AbstractSet[Law] = frozenset(
    {
        "log 2 at the reference",
        "only the margin matters",
        "length does not matter",
        "repetition does not matter",
        "the reference matters",
    }
)


@dataclass(frozen=True, slots=True)
class PRO:
    """With temperatures from the differences of relevance."""

    paper: ClassVar = papers.PRO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = _BREAKS
    formula: ClassVar = "Σ_k −log softmax_{i≥k}(μ_i / T_k^i)_k − nll (K − 1)² log π(best)"

    nll: float = 0.05
    """Weight of the best answer's likelihood, times (K − 1)²."""

    def __post_init__(self) -> None:
        checks.at_least_zero(nll=self.nll)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs | None = None) -> PerPrompt:
        del reference
        ranked = policy.ranked
        apart_by = apart(ranked.relevance).where(ranked.later, 0.0)
        sharpness = apart_by + torch.diag_embed(apart_by.amax(dim=2))
        return _plackett_luce(sharpness * ranked.mean[:, None, :], ranked) + self.nll * _likelihood(ranked)


@dataclass(frozen=True, slots=True)
class PROPlain:
    """Without temperatures, every T = 1."""

    paper: ClassVar = papers.PRO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "lengths"})
    breaks: ClassVar[AbstractSet[Law]] = _BREAKS
    formula: ClassVar = "Σ_k −log softmax_{i≥k}(μ_i)_k − nll (K − 1)² log π(best)"

    nll: float = 0.05
    """Weight of the best answer's likelihood, times (K − 1)²."""

    def __post_init__(self) -> None:
        checks.at_least_zero(nll=self.nll)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs | None = None) -> PerPrompt:
        del reference
        ranked = policy.ranked
        logits = ranked.mean[:, None, :].expand(-1, ranked.mean.shape[1], -1)
        return _plackett_luce(logits, ranked) + self.nll * _likelihood(ranked)


def _plackett_luce(logits: Float[Tensor, "prompt step answer"], ranked: ListLogprobs) -> PerPrompt:
    """Σ over steps of the loss of choosing answer k among those that are left at step k."""
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    left = (ranked.later | itself) & ranked.present[:, None, :]
    among = logits.masked_fill(~left, torch.finfo(logits.dtype).min).logsumexp(dim=2)
    return (among - logits.diagonal(dim1=1, dim2=2)).where(ranked.present, 0.0).sum(dim=1)


def _likelihood(ranked: ListLogprobs) -> PerPrompt:
    return -(ranked.present.sum(dim=1) - 1).clamp_min(0).square() * ranked.best
