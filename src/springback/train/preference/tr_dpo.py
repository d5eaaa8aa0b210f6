"""Trust Region DPO (TR-DPO, Gorbatovski et al., 2024): DPO whose reference follows the policy.

    ℓ = −log σ(βΔ);   every τ steps  θ_ref ← α·θ + (1 − α)·θ_ref

The loss is DPO's; what differs is the need `moving_reference`, which the trainer serves from the two fields. Log-ratios
to a reference that moved are not the distance from the start, so falling likelihoods hide in them. A stored reference
is impossible; TRL has it as a callback, without adapters.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, require
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class TRDPO:
    """DPO against a moving reference."""

    paper: ClassVar = papers.TR_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "moving_reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter"})
    formula: ClassVar = "−log σ(βΔ), θ_ref ← αθ + (1−α)θ_ref every τ steps"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    alpha: float = 0.6
    """Share α of the policy in the new reference, in (0, 1]; 1 replaces it."""
    every: int = 512
    """Optimiser steps τ between two moves of the reference."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        require(0 < self.alpha <= 1, "alpha", "in (0, 1]", self.alpha)
        require(self.every >= 1, "every", "at least 1 step", self.every)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * policy.over(reference).margin)
