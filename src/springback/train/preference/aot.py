"""Alignment via Optimal Transport (Melnyk et al., 2024): the distribution of rewards, not each pair, is to dominate.

    paired:    ℓ_i = −log σ(β (m_i − n_i)),  margins m of the policy and n of the reference matched by rank in the batch
    unpaired:  ℓ_i = −log σ(β (a_i − b_j)),  chosen log-ratios a and rejected ones b matched by rank in the batch

Matching by rank is the closed form of one-dimensional transport with a convex cost. What it dominates is a batch: with
one pair both are DPO, and the result depends on the batch size (TRL sorts within the micro-batch). A single pair may
get worse while the distributions separate.

The value of a rank stands at the pair whose margin (or chosen answer) has it, so the order of a batch does not matter;
TRL's `aot` and `aot_unpaired` return the same values sorted. Equal numbers keep the order of the batch.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference import checks
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class AOT:
    """Paired: margins of the policy against margins of the reference (§4 of the paper)."""

    paper: ClassVar = papers.AOT
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"repetition does not matter", "each pair alone"})
    formula: ClassVar = "−log σ(β (m₍ᵢ₎ − n₍ᵢ₎)), margins of policy and reference sorted in the batch"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    label_smoothing: float = 0.0
    """Share of labels believed wrong, in [0, ½), as TRL offers it; not in the paper."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.share_up_to_half(label_smoothing=self.label_smoothing)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return _logistic(self, policy.margin - _of_equal_rank(policy.margin, reference.margin))


@dataclass(frozen=True, slots=True)
class AOTUnpaired:
    """Unpaired: log-ratios of chosen answers against those of rejected ones, whichever prompt they belong to."""

    paper: ClassVar = papers.AOT
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"repetition does not matter", "only the margin matters", "each pair alone"}
    )
    formula: ClassVar = "−log σ(β (a₍ᵢ₎ − b₍ᵢ₎)), log-ratios of both answers sorted in the batch"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    label_smoothing: float = 0.0
    """Share of labels believed wrong, in [0, ½), as TRL offers it; not in the paper."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.share_up_to_half(label_smoothing=self.label_smoothing)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return _logistic(self, ratio.chosen - _of_equal_rank(ratio.chosen, ratio.rejected))


def _of_equal_rank(these: PerPair, those: PerPair) -> PerPair:
    """For each of these, the one of those that has its rank."""
    ranks = these.argsort(stable=True).argsort()
    return those[those.argsort(stable=True)][ranks]


def _logistic(method: AOT | AOTUnpaired, gap: PerPair) -> PerPair:
    right, wrong = F.logsigmoid(method.beta * gap), F.logsigmoid(-method.beta * gap)
    return -(1 - method.label_smoothing) * right - method.label_smoothing * wrong
