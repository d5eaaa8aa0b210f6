"""A micro-batch of ranked answers through a reward model: what the loop of `fit` asks of a loss.

Every prompt weighs the same, however many answers it has. The weight of a micro-batch is its number of prompts, so a
batch may be cut into micro-batches: nothing changes but rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.fit.loop import Summed
from springback.models.reward_model import RewardModel, row_scores
from springback.models.rows import Row
from springback.train.reward.centred import Loss
from springback.train.reward.rankings import Rankings


@dataclass(frozen=True, slots=True)
class Ranked:
    """The answers to one prompt as tokens, and how good they are."""

    rows: tuple[Row, ...]
    relevance: tuple[float, ...]
    margin: float | None = None
    """What the data says of a pair; None where it says nothing."""

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.relevance) or len(self.rows) < 2:
            raise ValueError(f"{len(self.rows)} answers with {len(self.relevance)} relevances; at least two of each")


def summed(model: RewardModel, loss: Loss, batch: Sequence[Ranked]) -> Summed:
    """Σ of the loss over the prompts in nats with its graph, how many there are, and the answer tokens behind it."""
    losses = loss(rankings(row_scores(model, [each.rows for each in batch]), batch))
    return Summed(losses.sum().to(_accurate(losses)), len(batch), sum(len(row.answer) for b in batch for row in b.rows))


def rankings(scores: Tensor, batch: Sequence[Ranked]) -> Rankings:
    """Scores of all answers, one after the other, as the rectangle that a ranking loss takes."""
    counts = torch.tensor([len(each.rows) for each in batch])
    real = torch.arange(int(counts.max())) < counts[:, None]
    filled = scores.new_zeros(real.shape).masked_scatter(real.to(scores.device), scores)
    relevance = torch.zeros(real.shape, dtype=torch.float64)
    relevance[real] = torch.tensor([value for each in batch for value in each.relevance], dtype=torch.float64)
    return Rankings(
        filled, relevance.to(scores.device, _accurate(scores)), real.to(scores.device), _margins(batch, scores)
    )


def _margins(batch: Sequence[Ranked], scores: Tensor) -> Tensor | None:
    stated = [each.margin for each in batch]
    if all(margin is None for margin in stated):
        return None
    if any(margin is None for margin in stated):
        raise ValueError("some pairs of the batch state a margin and some do not")
    return torch.tensor(stated, dtype=scores.dtype, device=scores.device)


def _accurate(like: Tensor) -> torch.dtype:
    return torch.float32 if like.device.type == "mps" else torch.float64
