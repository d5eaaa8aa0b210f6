"""RankNet (Burges et al., 2005): cross-entropy of every pair, ties of the data taken as ½.

    ℓ = mean over pairs {i, j} of  log(1 + e^{−(r_i − r_j)}) + (1 − P_ij)(r_i − r_j),   P = 1 for i ≻ j, ½ for a tie

Without ties it is Bradley–Terry over all pairs. With ties it draws the scores of equal answers together, which
Bradley–Terry here leaves alone.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings, mean_over


@dataclass(frozen=True, slots=True)
class RankNet:
    """Mean over the pairs of a prompt."""

    paper: ClassVar = papers.RANKNET
    breaks: ClassVar[frozenset[Law]] = frozenset({"equal answers are left alone"})
    needs_margins: ClassVar = False

    def __call__(self, answers: Rankings) -> PerPrompt:
        differences, better, there = answers.differences, answers.better, answers.there
        once = torch.ones_like(better).triu(1) & there[:, :, None] & there[:, None, :]
        tied = once & ~better & ~better.transpose(1, 2)
        losses = -F.logsigmoid(differences) + 0.5 * differences.where(tied, 0.0)
        return mean_over(losses, better | tied)
