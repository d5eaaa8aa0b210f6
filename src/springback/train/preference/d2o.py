"""Distributional Dispreference Optimization (Duan et al., 2024): a rejected answer against K of the model's own.

    ℓ = −log σ( (β/K) Σ_i [log π(y_i|x) − log π_ref⁻(y_i|x)] − α [log π(y_l|x) − log π_ref⁺(y_l|x)] )

No chosen answer is needed: the samples, drawn from the policy as training goes, hold the model where it is while the
rejected answer falls. They are pushed *up*, each by β/K of the slope, good or bad. With one sample and α = β it is DPO
with that sample as the chosen answer.

The paper takes π_ref⁻ from a model that knows more of what is unwanted and π_ref⁺ from one that knows less; here both
are the reference that is handed in, whose `samples` and `rejected` may come from two models.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference import checks
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair
from springback.train.preference.samples import SampledLogprobs

Seen = SampledLogprobs | PairLogprobs


@dataclass(frozen=True, slots=True)
class D2O:
    """Pairs serve too: the chosen answer is then the only sample. Without samples the rejected term stands alone."""

    paper: ClassVar = papers.D2O
    needs: ClassVar[AbstractSet[Need]] = frozenset({"samples", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter"})
    formula: ClassVar = "−log σ((β/K) Σ_i a_i − αb), a_i of K answers of the policy's own"

    beta: float = 0.1
    """Weight of the samples' mean log-ratio."""
    alpha: float = 0.1
    """Weight of the rejected answer's log-ratio."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta, alpha=self.alpha)

    def __call__(self, policy: Seen, reference: Seen) -> PerPair:
        policy, reference = _sampled(policy), _sampled(reference)
        ratios = (policy.samples - reference.samples).where(policy.present, 0.0)
        own = ratios.sum(dim=1) / policy.present.sum(dim=1).clamp_min(1)
        return -F.logsigmoid(self.beta * own - self.alpha * (policy.rejected - reference.rejected))


def _sampled(batch: Seen) -> SampledLogprobs:
    return SampledLogprobs(batch.chosen[:, None], batch.rejected) if isinstance(batch, PairLogprobs) else batch
