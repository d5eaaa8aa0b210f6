"""DiscoPOP, the log-ratio modulated loss (Lu et al., 2024), found by a language model that wrote losses.

    ℓ = (1 − m)·(−log σ(x)) + m·e^−x,   x = βΔ,   m = σ(x/τ)

Not convex: between x ≈ −0.119 and 0.072 (at τ 0.05) the slope is the other way, so that at the reference the first
step *shrinks* the margin (d_w = d_l = −0.078 at β 0.1). A pair must be carried over by others or by momentum. The
paper trains with β 0.05 and τ 0.05; the default of β here is TRL's. Above τ = 1 the loss would grow exponentially on
wrongly ordered pairs, so it is refused.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class DiscoPOP:
    """A logistic loss below, an exponential one above."""

    paper: ClassVar = papers.DISCOPOP
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "raises the chosen answer",
            "lowers the rejected answer",
            "pushes the right way everywhere",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "(1−m)(−log σ(βΔ)) + m exp(−βΔ), m = σ(βΔ/τ)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    tau: float = 0.05
    """Temperature τ of the change between the two losses, in units of βΔ. Above 1 wrong margins cost exponentially."""

    def __post_init__(self) -> None:
        positive(beta=self.beta, tau=self.tau)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        margin = self.beta * policy.over(reference).margin
        modulation = margin / self.tau
        exponential = (F.logsigmoid(modulation) - margin).exp()
        return exponential - (-modulation).sigmoid() * F.logsigmoid(margin)
