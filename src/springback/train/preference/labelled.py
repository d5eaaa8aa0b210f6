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
    mismatched: Float[Tensor, " mismatch"] | None = None
    """Need `mismatched`: log π of answers behind prompts that are not theirs, nats; `kto.mismatches` says which."""
    weights: PerExample | None = None
    """How much an example counts, for methods that say so (`bco.matching_weights`); None counts each once."""
