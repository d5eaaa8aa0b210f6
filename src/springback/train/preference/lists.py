"""What a loss of ranked lists sees: several answers to each prompt, the best first or with a relevance each."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from springback.train.preference.given import given

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

    @property
    def present(self) -> Bool[Tensor, "prompt answer"]:
        """Where there is an answer."""
        return torch.ones_like(self.logprobs, dtype=torch.bool) if self.real is None else self.real

    @property
    def mean(self) -> Float[Tensor, "prompt answer"]:
        """Log-probability per token, nats; 0 for an empty answer. `ValueError` where the lengths were not given."""
        return self.logprobs / given(self.tokens, "lengths").clamp_min(1)

    @property
    def best(self) -> PerPrompt:
        """Log π of the most relevant answer, of several the first, nats."""
        return self._of_the_best(self.logprobs)

    @property
    def best_mean(self) -> PerPrompt:
        """Log π of the most relevant answer per token, nats."""
        return self._of_the_best(self.mean)

    def _of_the_best(self, values: Float[Tensor, "prompt answer"]) -> PerPrompt:
        return values.gather(1, self._order[:, :1]).squeeze(1)

    @property
    def _order(self) -> Int[Tensor, "prompt answer"]:
        """Places from the most relevant answer to the least, ties as they came, missing ones last."""
        relevance = self.relevance.masked_fill(~self.present, -torch.inf)
        return relevance.argsort(dim=1, descending=True, stable=True)

    @property
    def ranked(self) -> "ListLogprobs":
        """The same lists, the most relevant answer first, ties as they came, missing ones last."""
        return ListLogprobs(
            self.logprobs.gather(1, self._order),
            self.relevance.gather(1, self._order),
            None if self.tokens is None else self.tokens.gather(1, self._order),
            None if self.real is None else self.real.gather(1, self._order),
        )

    @property
    def later(self) -> Bool[Tensor, "prompt answer other"]:
        """Whether the other answer stands behind the first one in the list, and both are there."""
        size = self.logprobs.shape[1]
        behind = torch.ones(size, size, dtype=torch.bool, device=self.logprobs.device).triu(diagonal=1)
        return behind & self.present[:, :, None] & self.present[:, None, :]

    @property
    def better(self) -> Bool[Tensor, "prompt answer other"]:
        """Whether the first answer is more relevant than the other; ties and missing answers are not."""
        both = self.present[:, :, None] & self.present[:, None, :]
        return both & (self.relevance[:, :, None] > self.relevance[:, None, :])


def apart(scores: Float[Tensor, "prompt answer"]) -> Float[Tensor, "prompt answer other"]:
    """The first answer's score less the other's."""
    return scores[:, :, None] - scores[:, None, :]
