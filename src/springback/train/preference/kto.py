"""Kahneman–Tversky Optimization (Ethayarajh et al., 2024): examples that are wanted or not, no pairs.

    ℓ = λ_D (1 − σ(β (r − z)))  of a wanted answer,   ℓ = λ_U (1 − σ(β (z − r)))  of an unwanted one
    r = log π(y|x) − log π_ref(y|x),   z = max(0, mean over mismatched (x, y′) of log π(y′|x) − log π_ref(y′|x))

z stands for KL(π ‖ π_ref), carries no gradient and is one number for the batch that the loss is called with: another
micro-batch has another z. It is estimated from wrong pairs of prompt and answer, so it is biased, and often 0.
Far from the reference, on either side of z, the gradient vanishes: an answer that is very wrong is given up.

Who does what: HALOs and TRL's KTOTrainer take z from mismatched answers, as here. HALOs pairs a prompt with the next
answer of the batch, whatever its prompt; `mismatches` looks for the next one of another prompt, and where there is none
z is 0 (TRL moves a batch of one onto itself, so that its z is that example's own r). `kto_pair` is TRL's older form.
"""

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.labelled import LabelledLogprobs, PerExample
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import PairLogprobs, PerPair


class Mismatch(NamedTuple):
    """An answer to be read behind a prompt that is not its own, as two places in the batch."""

    prompt: int
    answer: int


def mismatches(prompts: Sequence[Hashable]) -> list[Mismatch]:
    """For each example the next answer, round the batch, of another prompt; none where all have one prompt."""
    found = ((here, _next_of_another(prompts, here)) for here in range(len(prompts)))
    return [Mismatch(here, answer) for here, answer in found if answer is not None]


def _next_of_another(prompts: Sequence[Hashable], here: int) -> int | None:
    round_the_batch = (*range(here + 1, len(prompts)), *range(here))
    return next((there for there in round_the_batch if prompts[there] != prompts[here]), None)


@dataclass(frozen=True, slots=True)
class KTO:
    """One value an example; of a pair the mean of its two examples."""

    paper: ClassVar = papers.KTO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"labels", "reference", "mismatched"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"repetition does not matter", "log 2 at the reference", "only the margin matters"}
    )
    formula: ClassVar = "½[λ_D (1 − σ(β(a − z))) + λ_U (1 − σ(β(z − b)))], z ≥ 0 detached"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    desirable_weight: float = 1.0
    """λ_D, of wanted answers; where the kinds are not equally many, keep λ_D n_D near λ_U n_U."""
    undesirable_weight: float = 1.0
    """λ_U, of unwanted answers."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.at_least_zero(desirable_weight=self.desirable_weight, undesirable_weight=self.undesirable_weight)

    def __call__(self, policy: LabelledLogprobs, reference: LabelledLogprobs) -> PerExample:
        beyond = policy.logprob - reference.logprob - zero_point(policy, reference)
        wanted = self.desirable_weight * torch.sigmoid(-self.beta * beyond)
        return torch.where(policy.wanted, wanted, self.undesirable_weight * torch.sigmoid(self.beta * beyond))


def zero_point(policy: LabelledLogprobs, reference: LabelledLogprobs) -> Float[Tensor, ""]:
    """The z of the batch, nats, without gradient: at least 0, and 0 where the batch has no mismatched answers."""
    drift = given(policy.mismatched, "mismatched") - given(reference.mismatched, "mismatched")
    return drift.detach().sum().div(max(len(drift), 1)).clamp_min(0)


@dataclass(frozen=True, slots=True)
class KTOPair:
    """The form of TRL before its KTOTrainer (`kto_pair`): z of the chosen answers from the rejected ones, and back.

    It needs pairs and no mismatched answers; z is not detached there, nor here, so pairs share gradients.
    """

    paper: ClassVar = papers.KTO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"repetition does not matter", "log 2 at the reference", "only the margin matters", "each pair alone"}
    )
    formula: ClassVar = "½[1 − σ(β(a − [mean b]₊)) + 1 − σ(β([mean a]₊ − b))]"

    beta: float = 0.1
    """Strength of the pull towards the reference."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        ratio = policy.over(reference)
        of_chosen, of_rejected = ratio.chosen.mean().clamp_min(0), ratio.rejected.mean().clamp_min(0)
        wanted = torch.sigmoid(-self.beta * (ratio.chosen - of_rejected))
        return (wanted + torch.sigmoid(-self.beta * (of_chosen - ratio.rejected))) / 2
