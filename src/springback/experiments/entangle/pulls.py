"""How hard a loss pulls at the two log-probabilities of each pair: d_w, d_l, for any member of the family or callable.

Autograd on two numbers a pair; no network. The loss may be one of the family (pairs, lists of two, labelled examples)
or any `loss(policy, reference) -> per pair` of a user's own.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from springback.errors import RefusedError
from springback.train.entanglement import Weights, gradient_weights
from springback.train.preference.method import Method, Need
from springback.train.preference.on_pairs import per_pair
from springback.train.preference.own import Own
from springback.train.preference.pairs import Both, PairLogprobs

Loss = Callable[[PairLogprobs, PairLogprobs], Any]
OUTSIDE: Final[dict[Need, str]] = {
    "tokens": "it weighs the tokens of an answer differently, so its pull is no pair of numbers",
    "divergence": "it also moves a divergence over the whole vocabulary, which is no function of the two numbers",
    "samples": "it compares with samples of the policy, and the data holds pairs",
    "prompt": "it also trains on the prompt",
    "embeddings": "it moves hidden states, and no log-probability stands in it",
    "mismatched": "it needs log-probabilities of answers under other prompts, and pairs hold none",
}
"""Needs that d_w and d_l of a pair do not describe, with the reason."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The loss that is diagnosed."""

    named: str
    """As the user wrote it."""
    loss: Loss
    """Of pairs."""
    alone: bool
    """Whether the loss of a pair depends on that pair alone; else a step takes its batch in one piece."""
    collision: bool = False
    """Whether it needs log Σ π² of every token."""
    paper: str | None = None
    """Key of its paper."""


def needs_of(loss: Any) -> AbstractSet[Need]:
    """What it states; a callable that states nothing takes pairs and a reference."""
    return loss.needs if isinstance(loss, Method) else frozenset({"pairs", "reference"})


def why_not(loss: Any) -> str | None:
    """Why two numbers a pair do not describe this loss, or None where they do."""
    return next((why for need, why in OUTSIDE.items() if need in needs_of(loss)), None)


def asked(loss: Any, *, named: str) -> Asked:
    """As a function of pairs. RefusedError where its pull is no pair of numbers: said before a model is loaded."""
    if (why := why_not(loss)) is not None:
        raise RefusedError(
            f"{named} cannot be diagnosed: {why}.", kind="option", where="--loss",
            next="Take a loss of whole answers, such as dpo; `springback losses` shows what each one needs.",
        )  # fmt: skip
    paper = loss.paper.key if isinstance(loss, Method) and loss.paper else None
    return Asked(named, on_pairs(loss), each_pair_alone(loss), "collision" in needs_of(loss), paper)


def on_pairs(loss: Any) -> Loss:
    """A member over lists or labelled examples as a loss of pairs; anything else as it is."""
    return (lambda policy, reference: per_pair(loss, policy, reference)) if isinstance(loss, Method) else loss


def pulls(loss: Loss, policy: PairLogprobs, reference: PairLogprobs) -> Weights:
    """d_w = −∂L/∂log π_w and d_l = ∂L/∂log π_l of every pair's loss, per unit of summed log-probability, in float64.

    ArithmeticError where one is not finite. A loss of the whole batch (sorted, with statistics) is given all of it.
    """
    found = gradient_weights(loss, policy, reference)
    if not bool(torch.isfinite(found.chosen).all() and torch.isfinite(found.rejected).all()):
        raise ArithmeticError("the pull of the loss on a log-probability is not finite")
    return found


def each_pair_alone(loss: Any) -> bool:
    """Whether the loss of a pair depends on that pair alone; unknown callables are given whole batches."""
    return isinstance(loss, Method) and not isinstance(loss, Own) and "each pair alone" not in loss.breaks


def in_batches(loss: Loss, policy: PairLogprobs, reference: PairLogprobs, batches: Sequence[Sequence[int]]) -> Weights:
    """Pulls of pairs that stand in these batches, in the order of the batches' indices put together."""
    parts = [pulls(loss, taken(policy, batch), taken(reference, batch)) for batch in batches]
    return Weights(torch.cat([part.chosen for part in parts]), torch.cat([part.rejected for part in parts]))


def taken(all_pairs: PairLogprobs, indices: Sequence[int]) -> PairLogprobs:
    """Some of the pairs: log-probabilities and lengths, in this order."""
    at = torch.tensor(list(indices))
    lengths = all_pairs.tokens and Both(all_pairs.tokens.chosen[at], all_pairs.tokens.rejected[at])
    return PairLogprobs(all_pairs.chosen[at], all_pairs.rejected[at], tokens=lengths)


def given(policy: PairLogprobs, reference: Mapping[str, Sequence[float]] | None) -> PairLogprobs:
    """The reference's numbers: those that were stored, or the policy's own where it is its own reference."""
    if reference is None:
        return policy
    chosen, rejected = (torch.tensor(reference[side], dtype=torch.float64) for side in ("chosen", "rejected"))
    return replace(policy, chosen=chosen, rejected=rejected, collision=None)
