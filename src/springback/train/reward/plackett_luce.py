"""Plackett–Luce (Luce, 1959; Plackett, 1975): the likelihood of a whole ranking as successive choices of the best.

    ℓ = −Σ_i (r_i − log Σ_{j ≼ i} e^{r_j}),   the inner sum over all answers no better than i                  nats

K = 2 is Bradley–Terry. Equal answers stand in one another's sums (Breslow's treatment of ties), so their order in the
data does not matter; ListMLE takes it as a ranking. `top` counts only the choices of the best so many. A long list
weighs more than a short one: the sum over its choices is not divided.
"""

from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings


@dataclass(frozen=True, slots=True)
class PlackettLuce:
    """Sum over the choices of a prompt's ranking."""

    paper: ClassVar = papers.PLACKETT
    breaks: ClassVar[frozenset[Law]] = frozenset({"equal answers are left alone"})
    needs_margins: ClassVar = False

    top: int = 0
    """Choices that count, from the best answer on; 0 counts all. Equal answers count together or not at all."""

    def __post_init__(self) -> None:
        if self.top < 0:
            raise ValueError(f"top must be at least 0 (0 counts all choices), got {self.top}")

    def __call__(self, answers: Rankings) -> PerPrompt:
        there, better = answers.there, answers.better
        rivals = ~better.transpose(1, 2) & there[:, None, :]  # answer j is no better than i
        scores = answers.scores.where(there, 0.0)
        choices = scores[:, None, :].masked_fill(~rivals, float("-inf")).logsumexp(2) - scores
        counted = there if not self.top else there & (better.sum(1) < self.top)
        return choices.where(counted, 0.0).sum(1)
