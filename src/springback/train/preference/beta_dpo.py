"""β-DPO (Wu et al., 2024): DPO whose β follows the batch.

    ℓ = −log σ(β_t Δ),   β_t = max(β₀·[1 + α(mean Δ − M₀)], floor),   M₀ ← m·M₀ + (1 − m)·mean Δ      (β_t detached)

A batch whose margins are above the running mean M₀ is held to the reference harder. Where α(mean Δ − M₀) < −1 the
formula would be negative: the released code floors it at 0.001, so such a batch hardly learns.

Departures. (1) M₀ is that of the steps before; the released code moves it first, so that its own batch is in it. (2) No
sampling: the released code also drops a share of each batch by Gaussian weights around M₀, which is a choice of data.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import at_least_zero, finite, positive, require
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class BetaDPO:
    """DPO with a β of the batch. `mean` is its statistic: a checkpoint keeps it."""

    paper: ClassVar = papers.BETA_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "statistics"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"each pair alone", "the gradient is the slope", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(β_t Δ), β_t = max(β₀[1 + α(mean Δ − M₀)], floor)"

    beta: float = 0.1
    """β₀, of a batch whose mean margin is M₀."""
    alpha: float = 0.6
    """How much a nat of difference from M₀ changes β, as a share of β₀."""
    mean: float = 0.0
    """M₀, the running mean margin, nats."""
    momentum: float = 0.9
    """Share of the old mean in the new one, in [0, 1)."""
    floor: float = 1e-3
    """Smallest β."""

    def __post_init__(self) -> None:
        positive(beta=self.beta, floor=self.floor)
        at_least_zero(alpha=self.alpha)
        finite(mean=self.mean)
        require(0 <= self.momentum < 1, "momentum", "in [0, 1)", self.momentum)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        margin = policy.over(reference).margin
        beta = self.beta * (1 + self.alpha * (margin.detach().mean() - self.mean))
        return -F.logsigmoid(beta.clamp_min(self.floor) * margin)

    def after(self, policy: PairLogprobs, reference: PairLogprobs) -> "BetaDPO":
        """The method of the next step."""
        seen = policy.over(reference).margin.detach().mean().item()
        return replace(self, mean=self.momentum * self.mean + (1 - self.momentum) * seen)
