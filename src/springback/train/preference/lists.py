"""What a loss of ranked lists sees: several answers to each prompt, the best first or with a relevance each."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

PerPrompt = Float[Tensor, " prompt"]


@dataclass(frozen=True, slots=True)
class ListLogprobs:
    """log π(y|x) of K answers to each prompt, in nats. Lists of unequal length are filled up, `real` says where."""

    logprobs: Float[Tensor, "prompt answer"]
    relevance: Float[Tensor, "prompt answer"]
    """How good each answer is; higher is better. Only the order counts unless the method says otherwise."""
    tokens: Float[Tensor, "prompt answer"] | None = None
    """Need `lengths`: tokens of each answer, its stop included."""
    real: Bool[Tensor, "prompt answer"] | None = None
    """False where there is no answer; None where all are real."""
