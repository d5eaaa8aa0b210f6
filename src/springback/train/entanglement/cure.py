"""A cure that rescales: d_w and d_l of each pair are replaced by others, made from its inner products."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from springback.train.entanglement.gram import Grams
from springback.train.entanglement.weights import Weights


@runtime_checkable
class Cure(Protocol):
    """A function of each pair alone; the step that follows is that of the new weights, on the loss's own value."""

    def __call__(self, grams: Grams, weights: Weights) -> Weights:
        """New d_w and d_l, finite for all finite inputs."""
        ...

    def counts(self, grams: Grams, weights: Weights) -> Mapping[str, int]:
        """Pairs that were not treated as the rule says, by reason: clamped, identical, silent, not opposed."""
        ...
