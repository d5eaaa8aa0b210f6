"""Self-Play Preference Optimization (Wu et al., 2024), Eq. 4.5 with hard labels (P = 1 and 0), and the authors' half.

    SPPO       ℓ = (a − η/2)² + (b + η/2)²,   η = 1/β      the paper; TRL's `sppo_hard`
    SPPO half  ℓ = ½ of it                                 the authors' code; Understand_MarginPO

Each log-ratio is pulled to a target of its own, so the chosen answer rises at first and is pulled back behind η/2, as
the rejected one is below −η/2. TRL keeps DPO's β 0.1, an η of 10 where the paper has 1000. The method is meant for
answers of the policy's own, judged against each other; on pairs from elsewhere only its loss is left.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from springback import papers
from springback.train.preference.checks import positive
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import Both, PairLogprobs, PerPair

BREAKS: frozenset[Law] = frozenset(
    {
        "log 2 at the reference",
        "pushes the right way everywhere",
        "only the margin matters",
        "repetition does not matter",
    }
)


@dataclass(frozen=True, slots=True)
class SPPO:
    """The paper's, hard labels."""

    paper: ClassVar = papers.SPPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "(a − 1/2β)² + (b + 1/2β)²"

    beta: float = 0.1
    """1/η, per nat: the log-ratios are pulled to ±1/(2β) nats. The paper has η 1000, β 0.001."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return squares(policy.over(reference), 1 / (2 * self.beta))


@dataclass(frozen=True, slots=True)
class SPPOHalf:
    """The authors' code: half of it."""

    paper: ClassVar = papers.SPPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = BREAKS
    formula: ClassVar = "½(a − 1/2β)² + ½(b + 1/2β)²"

    beta: float = 0.1
    """1/η, per nat: the log-ratios are pulled to ±1/(2β) nats. The paper has η 1000, β 0.001."""

    def __post_init__(self) -> None:
        positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return squares(policy.over(reference), 1 / (2 * self.beta)) / 2


def squares(ratio: Both, target: float) -> PerPair:
    """Squared distances of the two log-ratios from +target and −target, nats²."""
    return (ratio.chosen - target).square() + (ratio.rejected + target).square()
