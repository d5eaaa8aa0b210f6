"""SLiC-HF (Zhao et al., 2023), Eq. 2, as HALOs has it.

    ℓ = max(0, δ − log π(y_w|x) + log π(y_l|x)) − λ·log π(y_w|x)

The calibration loss knows no reference model: what holds the policy is the likelihood of a target, here the chosen
answer (the paper also takes the SFT target; a data set of pairs has none). Sums, not means: a long chosen answer
must be δ nats *likelier* than a short rejected one, which no text of equal quality is.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.preference.checks import at_least_zero
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


@dataclass(frozen=True, slots=True)
class SLiCHF:
    """Hinge on the difference of log-probabilities, with a likelihood term."""

    paper: ClassVar = papers.SLIC_HF
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {
            "log 2 at the reference",
            "lowers the rejected answer",
            "only the margin matters",
            "repetition does not matter",
            "the reference matters",
        }
    )
    formula: ClassVar = "max(0, δ − log π_w + log π_l) − λ log π_w"

    delta: float = 1.0
    """Margin δ at which a pair is left alone, nats."""
    nll: float = 0.1
    """Weight λ of the chosen answer's negative log-likelihood (a sum, in nats)."""

    def __post_init__(self) -> None:
        at_least_zero(delta=self.delta, nll=self.nll)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs | None = None) -> PerPair:
        del reference
        return (self.delta - policy.margin).relu() - self.nll * policy.chosen
