"""What a method of the family states about itself, so that a wrong combination is refused before a model is loaded.

A method is a frozen dataclass with `paper`, `needs`, `breaks` and `formula`, called with (policy, reference).
Methods without the need `reference` take `reference=None`. A method with running statistics (need `statistics`)
keeps them as fields: `after(policy, reference)` is the method of the next step, and its fields are what a checkpoint
saves.
"""

from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from springback.papers import Paper

Need = Literal[
    "pairs",  # PairLogprobs; with one of the next two, either will do
    "lists",  # ListLogprobs
    "labels",  # LabelledLogprobs; a pair is two examples
    "samples",  # a rejected answer beside several answers of the policy's own
    "reference",
    "moving_reference",  # the reference follows the policy: fields `alpha` and `every`
    "lengths",
    "tokens",
    "collision",
    "divergence",
    "prompt",  # log-probability of the prompt's own tokens
    "statistics",
    "mismatched",  # log-probabilities of answers under other prompts of the batch
    "scores",  # of the answers, or a probability that chosen is better
    "embeddings",  # hidden states of the answers and of their prompt; the method's `states` says which
]

Law = Literal[
    "log 2 at the reference",
    "raises the chosen answer",  # d_w > 0 at the reference
    "lowers the rejected answer",  # d_l > 0 at the reference
    "pushes the right way everywhere",  # d_w ≥ 0 and d_l ≥ 0 wherever policy and reference are
    "only the margin matters",  # the same number added to both log-probabilities changes nothing, so d_w = d_l
    "each pair alone",
    "the gradient is the slope",  # nothing is held fixed in it (a detached weight, target or draw)
    "length does not matter",  # sums, not means: tokens may be cut otherwise
    "repetition does not matter",  # means, not sums: every token said twice changes nothing
    "the reference matters",
]
"""What would be expected of a preference loss, and does not hold for all of them. A member's `breaks` names those that
it breaks; `tests/laws` holds every member to the others, and to breaking what it says it breaks."""


@runtime_checkable
class Method(Protocol):
    """A member of the family."""

    paper: ClassVar[Paper]
    needs: ClassVar[AbstractSet[Need]]
    breaks: ClassVar[AbstractSet[Law]]
    formula: ClassVar[str]
    """One line in the letters of `docs/methods/preference_family.md`, under 100 characters."""

    def __call__(self, policy: Any, reference: Any) -> Any:
        """Loss of each pair, prompt or example; nats unless the method's file says otherwise."""
        ...
