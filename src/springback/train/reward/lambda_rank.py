"""LambdaRank (Burges, Ragno and Le, 2006) as a loss: LambdaLoss-NDCG of Wang et al. (2018), §3.2.

    ℓ = Σ over pairs i ≻ j of |ΔNDCG_ij| log(1 + e^{−(r_i − r_j)}),   |ΔNDCG_ij| = |G_i − G_j| |1/D_i − 1/D_j| / maxDCG
    G = 2^relevance − 1,   D = log₂(1 + rank),   ranks from the current scores, the first of equal scores first

LambdaRank defines gradients, λ_ij = −σ(−(r_i − r_j)) |ΔNDCG_ij|; with |ΔNDCG| held fixed they are this loss's. Its
value jumps where two answers change places, so values of different steps are not comparable.
Errors at the top of a list weigh most. Relevance above 30 or so makes one answer the whole list.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.reward.rankings import Law, PerPair, PerPrompt, Rankings

MOST = 60.0
"""Largest relevance taken: 2^60 is where neighbours are still told apart in float64."""


@dataclass(frozen=True, slots=True)
class LambdaRank:
    """Sum over the pairs of a prompt. `ValueError` for relevances outside [0, 60]: the gain is 2^relevance − 1."""

    paper: ClassVar = papers.LAMBDARANK
    breaks: ClassVar[frozenset[Law]] = frozenset(
        {"the order of the answers does not matter", "two answers give Bradley-Terry"}
    )
    needs_margins: ClassVar = False

    def __call__(self, answers: Rankings) -> PerPrompt:
        weights = changes_of_ndcg(answers)
        return (-weights * F.logsigmoid(answers.differences)).where(answers.better, 0.0).sum((1, 2))


@torch.no_grad()
def changes_of_ndcg(answers: Rankings) -> PerPair:
    """|ΔNDCG_ij| of exchanging two answers in the order of the current scores, in [0, 1]."""
    relevance = answers.relevance.where(answers.there, 0.0)
    if not bool(((relevance >= 0) & (relevance <= MOST)).all()):
        raise ValueError(f"LambdaRank takes relevances in [0, {MOST:g}] (its gain is 2^relevance − 1)")
    gains = torch.exp2(relevance.to(answers.scores.dtype)) - 1
    best = gains.sort(dim=1, descending=True).values
    places = torch.arange(1, gains.shape[1] + 1, device=gains.device, dtype=gains.dtype)
    discounts = torch.log2(1 + ranks(answers)).reciprocal()
    most = (best / torch.log2(1 + places)).sum(1).clamp_min(torch.finfo(gains.dtype).tiny)
    apart = (gains[:, :, None] - gains[:, None, :]).abs() * (discounts[:, :, None] - discounts[:, None, :]).abs()
    return apart / most[:, None, None]


def ranks(answers: Rankings) -> Float[Tensor, "prompt answer"]:
    """1 for the highest current score; of equal scores the first answer first; what is no answer comes last."""
    kept = answers.scores.where(answers.there, float("-inf"))
    order = kept.argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1) + 1).to(answers.scores.dtype)
