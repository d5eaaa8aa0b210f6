"""Noise Contrastive Alignment on pairs (Chen et al., 2024), Eq. 11 with hard labels.

    ℓ = −log σ(βa) − ½·log σ(−βa) − ½·log σ(−βb)

Each log-ratio counts by itself: the chosen answer is pulled to σ(βa) = ⅔, not to infinity, and pulled back behind
it. The authors' remedy for falling likelihoods: d_w = β(1 − 3/2·σ(βa)) does not know of b. At the reference it
pushes the chosen answer up as hard as the rejected one down (β/4 each), so the first step is entangled as DPO's is.
TRL's `nca_pair`; the form for K answers with scores is `info_nca.py`'s neighbour.
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
class NCA:
    """Two classifications against noise."""

    paper: ClassVar = papers.NCA
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "pushes the right way everywhere",
            "only the margin matters",
            "repetition does not matter",
        }
    )
    formula: ClassVar = "−log σ(βa) − ½ log σ(−βa) − ½ log σ(−βb)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        chosen, rejected = self.beta * ratio.chosen, self.beta * ratio.rejected
        return -F.logsigmoid(chosen) - 0.5 * (F.logsigmoid(-chosen) + F.logsigmoid(-rejected))
