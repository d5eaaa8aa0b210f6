"""How policy optimisation steps. Torch-free: the command line reads its options from here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Updates on each batch of written answers, by AdamW at a constant rate."""

    lr: float = 1e-5
    """Learning rate of AdamW, constant after the warm-up."""
    warmup_steps: int = 0
    """Updates of linear warm-up, by index."""
    clip: float = 1.0
    """Largest gradient norm of an update."""
    passes: int = 1
    """Times that each batch is gone over."""
    minibatches: int = 1
    """Parts that a batch is dealt into by prompt, an update each."""
    at_once: int = 16
    """Answers that go through the network together; saves memory, changes nothing but rounding."""
    temperature: float = 1.0
    """At which the answers were drawn."""

    @property
    def updates(self) -> int:
        """Updates on each batch."""
        return self.passes * self.minibatches

    def __post_init__(self) -> None:
        if min(self.passes, self.minibatches, self.at_once) < 1 or not self.temperature > 0:
            raise ValueError(f"passes, minibatches, at_once ≥ 1 and temperature > 0 must hold, got {self}")
