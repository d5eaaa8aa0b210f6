"""A loss of the user's: any callable of the log-probabilities of pairs, with no need to register it.

    def loss(policy, reference):      # springback.train.preference.PairLogprobs: chosen, rejected, tokens; nats
        return -torch.nn.functional.logsigmoid(policy.over(reference).margin)

One value per pair, made of differentiable operations. The function may carry an attribute `needs`, a set of the words
in `method.Need`; without it the reference and the lengths are given.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, get_args

from torch import Tensor

from springback.train.preference.method import Law, Need

USUAL: Final[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths"})


@dataclass(frozen=True, slots=True)
class Own:
    """A user's callable, in the clothes of a method."""

    call: Callable[[Any, Any], Any]
    """(policy, reference) -> loss of each pair."""
    named: str
    """What was asked for: the file, or module:function."""
    paper: Any = None
    """Nobody's: None."""
    breaks: AbstractSet[Law] = frozenset()
    """Nothing is known of it."""
    formula: str = "your own"
    """Not known."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(getattr(self.call, "needs", USUAL)) - set(get_args(Need))):
            raise ValueError(f"needs are some of {', '.join(get_args(Need))}, got {', '.join(unknown)}")

    @property
    def needs(self) -> AbstractSet[Need]:
        """What the callable says that it needs."""
        return frozenset(getattr(self.call, "needs", USUAL))

    def __call__(self, policy: Any, reference: Any) -> Any:
        found = self.call(policy, reference)
        if not isinstance(found, Tensor) or found.ndim != 1:
            shown = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"{self.named} must return a tensor with one value per pair, got {shown}")
        return found
