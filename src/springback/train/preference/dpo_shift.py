"""DPO-Shift (Yang et al., 2025): the rejected reward counts for less, by a fixed factor or one that moves with the
steps.

    ℓ = −log σ(β(a − f·b)),   f in (0, 1]      fixed, or linear from `shift` to `shift_end` over `steps` steps

d_l = f·d_w: the chosen answer's likelihood is bought with margin (the paper's theorem). f = 1 is DPO. A pair's chosen
answer rises if ⟨g_w, g_l⟩ ≤ ‖g_w‖²/f, so f = 0.95 helps the pairs that were nearly safe. The released code has `fixed`,
`increase_linear` and `decrease_linear` (`dpo_lambda_min`, `dpo_lambda_max`); linear is one class here, either way.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F

from springback import papers
from springback.train.preference.checks import positive, require
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class DPOShift:
    """One factor for the whole run."""

    paper: ClassVar = papers.DPO_SHIFT
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"only the margin matters", "repetition does not matter"})
    formula: ClassVar = "−log σ(β(a − f b))"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    shift: float = 0.95
    """Factor f of the rejected answer's log-ratio, in (0, 1]."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        require(0 < self.shift <= 1, "shift", "in (0, 1]", self.shift)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        return -F.logsigmoid(self.beta * (ratio.chosen - self.shift * ratio.rejected))


@dataclass(frozen=True, slots=True)
class DPOShiftLinear:
    """A factor that moves with the optimiser's steps. `step` is its statistic: a checkpoint keeps it."""

    paper: ClassVar = papers.DPO_SHIFT
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "statistics"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"only the margin matters", "repetition does not matter"})
    formula: ClassVar = "−log σ(β(a − f_t b)), f_t linear in the step"

    beta: float = 0.1
    """Strength of the pull towards the reference, per nat."""
    shift: float = 0.75
    """Factor f of the rejected answer's log-ratio at the first step, in (0, 1]."""
    shift_end: float = 1.0
    """Factor f from `steps` on, in (0, 1]."""
    steps: int = 1000
    """Optimiser steps from the first factor to the last."""
    step: int = 0
    """Optimiser steps done."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)
        require(0 < self.shift <= 1, "shift", "in (0, 1]", self.shift)
        require(0 < self.shift_end <= 1, "shift_end", "in (0, 1]", self.shift_end)
        require(self.steps >= 1, "steps", "at least 1", self.steps)
        require(self.step >= 0, "step", "at least 0", self.step)

    @property
    def now(self) -> float:
        """Factor f of this step."""
        return self.shift + (self.shift_end - self.shift) * min(self.step / self.steps, 1.0)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return DPOShift(self.beta, self.now)(policy, reference)

    def after(self, policy: PairLogprobs, reference: PairLogprobs) -> "DPOShiftLinear":
        """The method of the next step."""
        del policy, reference
        return replace(self, step=self.step + 1)
