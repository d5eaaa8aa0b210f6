"""What a loss sees that contrasts a rejected answer with answers of the policy's own."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from springback.train.preference.pairs import PerPair


@dataclass(frozen=True, slots=True)
class SampledLogprobs:
    """log π of K sampled answers and of one rejected answer to each prompt, in nats."""

    samples: Float[Tensor, "pair sample"]
    rejected: PerPair
    real: Bool[Tensor, "pair sample"] | None = None
    """False where a prompt has fewer samples; None where all are real."""

    @property
    def present(self) -> Bool[Tensor, "pair sample"]:
        """Where there is a sample."""
        return torch.ones_like(self.samples, dtype=torch.bool) if self.real is None else self.real
