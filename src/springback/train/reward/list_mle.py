"""ListMLE (Xia et al., 2008): the Plackett–Luce likelihood of one permutation, the data's order.

    ℓ = −Σ_i (r_i − log Σ_{j ≥ i} e^{r_j}),   answers sorted by relevance, equal ones in the order of the data  nats

Without ties it is Plackett–Luce. With ties it learns their order in the file, which Plackett–Luce here does not.
"""

from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.reward.rankings import Law, PerPrompt, Rankings


@dataclass(frozen=True, slots=True)
class ListMLE:
    """Sum over the places of a prompt's list."""

    paper: ClassVar = papers.LISTMLE
    breaks: ClassVar[frozenset[Law]] = frozenset(
        {"the order of the answers does not matter", "equal answers are left alone"}
    )
    needs_margins: ClassVar = False

    def __call__(self, answers: Rankings) -> PerPrompt:
        there = answers.there
        keys = answers.relevance.where(there, float("-inf"))
        order = keys.argsort(dim=1, descending=True, stable=True)
        scores, real = answers.scores.gather(1, order), there.gather(1, order)
        kept = scores.where(real, float("-inf"))
        rest = kept.flip(1).logcumsumexp(1).flip(1)  # finite at every real place: it holds its own score
        return (rest.where(real, 0.0) - scores.where(real, 0.0)).sum(1)
