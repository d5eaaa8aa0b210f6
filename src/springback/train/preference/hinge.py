"""The hinge on DPO's margin (`hinge-norm` of RSO, Liu et al., 2024; SLiC's loss with DPO's reward).

    ℓ = max(0, 1 − βΔ)

A pair whose margin has reached 1/β is left alone: d_w = d_l = β before, 0 after. The weight does not depend on how
wrong the pair is. TRL and LLaMA-Factory call it `hinge`; SLiC-HF itself, without a reference, is `slic_hf.py`.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class Hinge:
    """DPO's margin through a hinge."""

    paper: ClassVar = papers.RSO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"log 2 at the reference", "repetition does not matter"})
    formula: ClassVar = "max(0, 1 − βΔ)"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return (1 - self.beta * policy.over(reference).margin).relu()
