"""Listwise Preference Optimization, LiPO-λ (Liu et al., 2024): pairs of a list, weighed by what a swap would cost.

    ℓ = Σ_{rel_i > rel_j} |G_i − G_j| · |1/D_i − 1/D_j| · log(1 + e^{−(s_i − s_j)})
    s = β [log π(y|x) − log π_ref(y|x)],   G = 2^rel − 1,   D = log(1 + rank of s within the list, 1 for the highest)

The weights carry no gradient: ranks come from the *current* scores, so the loss jumps where two scores cross. Equal
scores keep the list's order. With K = 2 it is DPO times a constant, 0.532456 for relevance 1 and 0. Nothing divides by
the ideal DCG, so lists of larger relevance weigh more. The logarithm is natural, as the paper writes it; log₂, as
most ranking libraries have it, would make the loss log 2 times as large.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.lists import ListLogprobs, PerPrompt, apart
from springback.train.preference.method import Law, Need


@dataclass(frozen=True, slots=True)
class LiPO:
    """Relevance must be scores or grades, of which 2^rel is a sensible gain; in the paper they lie in [0, 1]."""

    paper: ClassVar = papers.LIPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"lists", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter", "log 2 at the reference"})
    formula: ClassVar = "Σ_{i better than j} |2^rel_i − 2^rel_j| |1/D_i − 1/D_j| log(1 + e^{−β(r_i − r_j)})"

    beta: float = 0.05
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: ListLogprobs, reference: ListLogprobs) -> PerPrompt:
        scores = self.beta * (policy.logprobs - reference.logprobs)
        gains = policy.relevance.where(policy.present, 0.0).exp2()
        cost = apart(gains).abs() * apart(1 / _discount(scores, policy)).abs()
        return (cost * F.softplus(-apart(scores))).where(policy.better, 0.0).sum(dim=(1, 2))


def _discount(scores: Float[Tensor, "prompt answer"], policy: ListLogprobs) -> Float[Tensor, "prompt answer"]:
    """D of each answer, at least log 2; missing answers stand last."""
    order = scores.detach().masked_fill(~policy.present, -float("inf")).argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1) + 1
    return ranks.to(scores).log1p()
