"""Calibrated DPO (Cal-DPO, Xiao et al., 2024), as its authors released it.

    ℓ = −log σ(Δ) + w·[(a − 1/(2β))² + (b + 1/(2β))²],   w = ½

The contrast has no β; β only sets the targets ±1/(2β) that the log-ratios are pulled to. The chosen answer rises
until a ≈ 1/(2β) and is pulled back behind it, whatever its text deserves: the target is the same for all pairs, long
or short. The weight ½ stands in the released code (`0.5*Cal_loss`, which there is also a mean over the batch); the
paper's text was not at hand, so a form without it is `weight=1`, not a class. With β as small as the authors' the
squares are all there is.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import at_least_zero, positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair
from springback.train.preference.sppo import squares


@dataclass(frozen=True, slots=True)
class CalDPO:
    """DPO without β, and both log-ratios calibrated."""

    paper: ClassVar = papers.CAL_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "pushes the right way everywhere",
            "only the margin matters",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "−log σ(Δ) + w[(a − 1/2β)² + (b + 1/2β)²]"

    beta: float = 0.1
    """Sets the targets: log-ratios of ±1/(2β) nats."""
    weight: float = 0.5
    """Weight w of the two squares."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        at_least_zero(weight=self.weight)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(ratio.margin) + self.weight * squares(ratio, 1 / (2 * self.beta))
