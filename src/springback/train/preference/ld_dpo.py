"""Length-desensitized DPO (Liu et al., 2024): tokens beyond the shorter answer's length count α times.

    ℓ = −log σ(β (â − b̂)),   log π̂(y) = Σ_{t ≤ m} log π(y_t) + α Σ_{t > m} log π(y_t),   m = min(|y_w|, |y_l|)

α = 1 is DPO; α = 0 compares the answers' first m tokens alone. What is cut is the *end* of the longer answer, whatever
it says; an answer that is better because it goes on gains less from that.

Who does what: with weights on policy and reference alike, as here and in TRL, the loss at the reference is log 2.
LLaMA-Factory weighs the policy's tokens only and keeps the reference's sums: `ld_dpo_policy_only`, which starts
elsewhere and pushes by the reference's own log-probabilities.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import Both, PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class LDDPO:
    """Weights on policy and reference."""

    paper: ClassVar = papers.LD_DPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths", "tokens"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"only the margin matters", "length does not matter", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(β(â − b̂)), tokens beyond min(|y_w|, |y_l|) weighed α"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 0.5
    """Weight of the tokens beyond the shorter answer's length, in [0, 1]."""

    def __post_init__(self) -> None:
        _check(self.beta, self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return _logistic(self.beta, _desensitized(policy, self.alpha), _desensitized(reference, self.alpha))


@dataclass(frozen=True, slots=True)
class LDDPOPolicyOnly:
    """Weights on the policy alone, as in LLaMA-Factory."""

    paper: ClassVar = papers.LD_DPO
    needs: ClassVar[AbstractSet[Need]] = LDDPO.needs
    breaks: ClassVar[AbstractSet[Law]] = frozenset({"log 2 at the reference", *LDDPO.breaks})
    formula: ClassVar = "−log σ(β(log π̂_w − log ref_w − log π̂_l + log ref_l)), π̂ of `ld_dpo`"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    alpha: float = 0.5
    """Weight of the policy's tokens beyond the shorter answer's length, in [0, 1]."""

    def __post_init__(self) -> None:
        _check(self.beta, self.alpha)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return _logistic(self.beta, _desensitized(policy, self.alpha), Both(reference.chosen, reference.rejected))


def _check(beta: float, alpha: float) -> None:
    checks.positive(beta=beta)
    checks.require(0 <= alpha <= 1, "alpha", "in [0, 1]", alpha)


def _logistic(beta: float, policy: Both, reference: Both) -> PerPair:
    return -F.logsigmoid(beta * (policy.margin - reference.margin))


def _desensitized(batch: PairLogprobs, alpha: float) -> Both:
    tokens, lengths = given(batch.by_token, "tokens"), batch.lengths
    shared = torch.minimum(lengths.chosen, lengths.rejected)
    return Both(
        _weighed(tokens.chosen.to(batch.chosen), shared, alpha),
        _weighed(tokens.rejected.to(batch.rejected), shared, alpha),
    )


def _weighed(tokens: Float[Tensor, "pair time"], shared: PerPair, alpha: float) -> PerPair:
    within = torch.arange(tokens.shape[1], device=tokens.device) < shared[:, None]
    return tokens.where(within, alpha * tokens).sum(dim=1)
