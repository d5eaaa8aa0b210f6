"""Constrained fine-tuning (Qi et al. 2024, *Safety Alignment Should Be Made More Than Just a Few Tokens Deep*, eq. 3).

    ℓ = −Σ_t (2 / β_t) · log σ(β_t · [log π(y_t) − log π_aligned(y_t)])      β = .5 | 2, 2, 2, 2 | .1, .1, …

Token t's gradient is that of plain tuning times 2σ(−β_t Δ_t): 1 where the model has not moved, towards 0 once the token
is likelier than under the aligned model. A large β_t holds a token at the aligned model's probability, a small one
leaves it free. The first token's β is smaller than its followers' in the paper too.

It does not hold against somebody who can choose the loss: it is what a fine-tuning service can impose.
Departure: the paper warms the learning rate up; here the recipe's own rate is kept, so that runs compare.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from springback import papers
from springback.fit.loop import Summed
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.train.sft import answer_logprobs
from springback.train.tuning.method import TuningLoss


@dataclass(frozen=True, slots=True)
class Constrained:
    """Holds the first answer tokens near the aligned model's probabilities."""

    paper: ClassVar = papers.SHALLOW

    first: float = 0.5
    """β of the first answer token."""
    early: float = 2.0
    """β of the tokens after it, up to `until`."""
    late: float = 0.1
    """β of all later tokens."""
    until: int = 5
    """Last answer token (first = 1) that `early` holds."""

    def __post_init__(self) -> None:
        if not all(0 < beta < math.inf for beta in (self.first, self.early, self.late)) or self.until < 1:
            raise ValueError(f"every β must be > 0 and until at least 1, got {self}")

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del before
        aligned = dict(zip(rows, token_logprobs(network, rows), strict=True))

        def loss(network: nn.Module, batch: Sequence[Row]) -> Summed:
            now = answer_logprobs(network, batch)
            far = now - torch.cat([aligned[row] for row in batch]).to(now)
            beta = torch.cat([self.betas(len(row.answer)) for row in batch]).to(now)
            return Summed((-2 / beta * F.logsigmoid(beta * far)).sum(), len(now), len(now))

        return loss

    def betas(self, length: int) -> Tensor:
        """β_t of an answer of `length` tokens."""
        place = torch.arange(1, length + 1)
        return torch.where(place == 1, self.first, torch.where(place <= self.until, self.early, self.late)).double()
