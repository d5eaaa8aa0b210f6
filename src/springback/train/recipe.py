"""How supervised fine-tuning steps. Torch-free: the command line reads its options from here."""

from dataclasses import dataclass
from typing import ClassVar

from springback import papers


@dataclass(frozen=True, slots=True)
class SFT:
    """Supervised fine-tuning on answers by AdamW, the prompt under no loss. Departures from common practice:

    1. The learning rate is constant after the warm-up, not a cosine: with a schedule over the total number of steps the
       first k steps of a long run would be no run of k steps.
    2. No dropout, whatever the model's configuration says: a step depends on weights and rows alone.
    """

    paper: ClassVar = papers.ADAMW

    lr: float = 1e-4
    """Learning rate of AdamW, constant after the warm-up."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of AdamW's first and second moment."""
    eps: float = 1e-8
    """AdamW's ε."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    batch: int = 8
    """Examples an optimiser step, all micro-batches together."""
    clip: float = 1.0
    """Largest gradient norm of a step."""
    warmup_steps: int = 0
    """Steps of linear warm-up, by step index: exact under nesting."""
    accumulate: int = 1
    """Micro-batches that a step's batch is cut into; saves memory, changes nothing but rounding."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.accumulate < 1 or self.batch % self.accumulate:
            raise ValueError(f"accumulate must divide the batch, got {self.accumulate} and {self.batch}")
        if not 0 <= self.betas[0] < 1 or not 0 <= self.betas[1] < 1 or not self.eps > 0 or self.weight_decay < 0:
            raise ValueError(f"betas in [0, 1), eps > 0 and weight_decay ≥ 0 must hold, got {self}")
