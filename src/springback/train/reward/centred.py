"""Centring of scores (Eisenstein et al., 2023, Eq. 2): beside any ranking loss, c·(r_i + r_j)² over its pairs.

    ℓ_centred = ℓ + c · mean over pairs i ≻ j of (r_i + r_j)²                          c = .01 is advised

A ranking loss fixes scores up to a constant for each prompt. This fixes the constant: the mean score of a prompt's
answers is drawn to 0, so that scores of different prompts can be compared and do not drift. It is not invariant to
that constant, and it is no part of the likelihood: a large c also shrinks differences between answers of lists.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, RankingLoss, Rankings, mean_over


@dataclass(frozen=True, slots=True)
class Centred:
    """A ranking loss with its scores drawn to 0."""

    paper: ClassVar = papers.CENTRING
    loss: RankingLoss
    centring: float = 0.01
    """c ≥ 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.centring < float("inf"):
            raise ValueError(f"centring must be a number ≥ 0, got {self.centring}")

    @property
    def breaks(self) -> frozenset[Law]:
        """Those of the loss within, and the constant; two answers give Bradley–Terry with the same centring."""
        own: set[Law] = {"a constant added to a prompt's scores changes nothing", "two answers give Bradley-Terry"}
        return frozenset({*self.loss.breaks, *own})

    @property
    def needs_margins(self) -> bool:
        return self.loss.needs_margins

    def __call__(self, answers: Rankings) -> PerPrompt:
        scores = answers.scores.where(answers.there, 0.0)
        sums = scores[:, :, None] + scores[:, None, :]
        return self.loss(answers) + self.centring * mean_over(sums.square(), answers.better)


Loss: TypeAlias = RankingLoss | Centred
"""What a reward model is trained with."""
