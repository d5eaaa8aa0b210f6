"""Fine-tuning on a leash: a KL term ties every answer position to the model that the chain began from.

    ℓ = Σ_t −log π(y_t) + weight · KL(π_before ‖ π)_t      nats a token, exact over the vocabulary

The direction is the one that is finite wherever the model puts mass, and it is measured along the tuning answers, not
along samples: it keeps the model from forgetting there, and says nothing of other prompts. Costs a frozen copy of the
network and one more forward pass a batch.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from springback import papers
from springback.fit.loop import Summed
from springback.models.packing import cheapest
from springback.models.readout import Reading, read
from springback.models.rows import Row
from springback.train.tuning.method import TuningLoss


@dataclass(frozen=True, slots=True)
class KLAnchor:
    """Adds the KL to the aligned model, at the answers that are tuned on."""

    paper: ClassVar = papers.INSTRUCT
    copies: ClassVar = True
    """A frozen copy of the network stays in memory."""

    weight: float = 1.0
    """Nats of loss for a nat of KL; 0 is plain tuning."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be a number of at least 0, got {self.weight}")

    def __call__(self, network: nn.Module, rows: Sequence[Row], before: Sequence[Row]) -> TuningLoss:
        del rows, before
        aligned = copy.deepcopy(network).requires_grad_(False)  # noqa: FBT003

        def loss(network: nn.Module, batch: Sequence[Row]) -> Summed:
            inputs = cheapest(network, batch)
            with torch.no_grad():
                old = _logprobs(read(aligned, inputs.arguments, inputs.wanted))
            new = _logprobs(read(network, inputs.arguments, inputs.wanted))
            targets = torch.tensor([token for row in batch for token in row.answer], device=new.device)
            apart = (old.exp() * (old - new)).sum(dim=-1)
            total = (F.nll_loss(new, targets, reduction="none") + self.weight * apart).to(_accurate(new)).sum()
            return Summed(total, len(targets), len(targets))

        return loss


def _logprobs(reading: Reading) -> Tensor:
    states = reading.states
    return next(reading.logits(len(states))).float().log_softmax(dim=-1)


def _accurate(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64
