"""Unlikelihood training (Welleck et al., 2019), of whole rejected answers: their tokens are to become unlikely.

    ℓ = −Σ_t log(1 − p_t),   p_t = π(y_l,t | x, y_l,<t)

Neither chosen answer nor reference: nothing holds the model, and probability taken from a token goes where the model
already leans. A token that is all but impossible is left alone (d = p/(1 − p) of that token), one that is nearly
certain is pushed hardest. The paper adds the likelihood of the wanted text and takes the negatives from the context or
from the model's own repetitions; here they are the rejected answer, as in unlearning.

As p → 1 the loss and its slope in log p grow without bound, though the slope in the logit stays below 1. Beyond
1 − p = `floor` the loss goes on as a straight line in log p. (The authors' code clamps 1 − p there: no gradient.)
"""

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class Unlikelihood:
    """Of the rejected answer, summed over its tokens; an empty one has loss 0."""

    paper: ClassVar = papers.UNLIKELIHOOD
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "lengths", "tokens"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "raises the chosen answer",
            "only the margin matters",
            "length does not matter",
            "repetition does not matter",
            "the reference matters",
        }
    )
    formula: ClassVar = "−Σ_t log(1 − p_t) over the rejected answer"

    floor: float = 1e-6
    """1 − p below which the loss is continued as a straight line."""

    def __post_init__(self) -> None:
        checks.require(0 < self.floor < 0.5, "floor", "in (0, 0.5)", self.floor)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        tokens = given(policy.by_token, "tokens").rejected.to(policy.rejected)
        real = torch.arange(tokens.shape[1], device=tokens.device) < policy.lengths.rejected[:, None]
        return self._of_token(tokens).where(real, 0.0).sum(dim=1)

    def _of_token(self, logprob: Float[Tensor, "pair time"]) -> Float[Tensor, "pair time"]:
        most = math.log1p(-self.floor)
        line = -math.log(self.floor) + (logprob - most) * (1 - self.floor) / self.floor
        return line.where(logprob > most, -_log1mexp(logprob.clamp_max(most)))


def _log1mexp(x: Float[Tensor, "pair time"]) -> Float[Tensor, "pair time"]:
    """log(1 − e^x) for x < 0, exact on both sides of x = −log 2."""
    near_one = torch.log(-torch.expm1(x.clamp_min(-math.log(2))))
    return near_one.where(x > -math.log(2), torch.log1p(-torch.exp(x.clamp_max(-math.log(2)))))
