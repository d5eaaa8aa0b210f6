"""AlphaDPO (Wu et al., 2025), as its authors released it: SimPO with a target margin of each pair's own.

    ℓ = −log σ(β(μ_w − μ_l − γ/β − α·z)),   z = (m − M)/S,   m = a/|y_w| − b/|y_l|      (z detached)

M and S are running means of the batches' mean and standard deviation. A pair whose margin over the reference is
already wide is asked for more, one that lags for less: the opposite of a curriculum on hard pairs. The reference
enters through z only, and carries no gradient. α = 0 is SimPO. The paper writes γ + α·M* outside of β; in the
released code α is inside.

Departures. (1) M and S are those of the steps before; the released code moves them first, with its own batch. (2) They
start at 0 and 1; the released code starts at 0 and 0, so its first z are ten times too wide, and NaN without noise.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import finite, positive, require
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair

SMALLEST: Final = 1e-6
"""Of a standard deviation, nats per token: identical pairs have none."""


@dataclass(frozen=True, slots=True)
class AlphaDPO:
    """SimPO with an adaptive margin. `mean` and `deviation` are its statistics: a checkpoint keeps them."""

    paper: ClassVar = papers.ALPHA_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths", "statistics"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"log 2 at the reference", "only the margin matters", "length does not matter", "the gradient is the slope"}
    )
    formula: ClassVar = "−log σ(β(μ_w − μ_l − γ/β − α z)), z = (a/|w| − b/|l| − M)/S"

    beta: float = 2.5
    """Scale β of the reward, per nat per token."""
    gamma_beta_ratio: float = 0.6
    """Target margin γ/β of a pair at z = 0, nats per token."""
    alpha: float = 0.2
    """What a standard deviation of margin over the reference adds to the target, nats per token."""
    mean: float = 0.0
    """M, the running mean of the margin over the reference, nats per token."""
    deviation: float = 1.0
    """S, the running standard deviation of it, nats per token."""
    momentum: float = 0.9
    """Share of the old statistics in the new ones, in [0, 1)."""

    def __post_init__(self) -> None:
        positive(beta=self.beta, deviation=self.deviation)
        finite(gamma_beta_ratio=self.gamma_beta_ratio, alpha=self.alpha, mean=self.mean)
        require(0 <= self.momentum < 1, "momentum", "in [0, 1)", self.momentum)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        z = (policy.mean_over(reference).margin.detach() - self.mean) / self.deviation
        return -F.logsigmoid(self.beta * (policy.mean.margin - self.gamma_beta_ratio - self.alpha * z))

    def after(self, policy: PairLogprobs, reference: PairLogprobs) -> "AlphaDPO":
        """The method of the next step. A batch of one pair says nothing of the deviation and leaves it."""
        margin = policy.mean_over(reference).margin.detach()
        spread = margin.std().item() if len(margin) > 1 else self.deviation
        mean, deviation = self._moved(self.mean, margin.mean().item()), self._moved(self.deviation, spread)
        return replace(self, mean=mean, deviation=max(deviation, SMALLEST))

    def _moved(self, old: float, seen: float) -> float:
        return self.momentum * old + (1 - self.momentum) * seen
