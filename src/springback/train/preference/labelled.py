"""What a loss of unpaired examples sees: one answer each, wanted or not."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

PerExample = Float[Tensor, " example"]


@dataclass(frozen=True, slots=True)
class LabelledLogprobs:
    """log π(y|x) of a batch of labelled answers, in nats."""

    logprob: PerExample
    wanted: Bool[Tensor, " example"]
    """Whether the answer is to become likelier."""
    tokens: PerExample | None = None
    """Need `lengths`: tokens of each answer, its stop included."""
