"""What a policy method is given of a batch of sampled answers, and what it says of them. No model here.

`time` counts answer tokens from 0, the stop token included; the prompt has no place in it, so no padding of prompts can
shift anything. Behind an answer's end `real` is False, and every other number there is 0.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PerToken = Float[Tensor, "answer time"]
PerAnswer = Float[Tensor, " answer"]

Need = Literal["groups", "values", "reference"]
"""groups: several answers to each prompt; values: V of every token's state; reference: log π_ref of every token."""


@dataclass(frozen=True, slots=True)
class Written:
    """Answers that the policy wrote, each with its reward."""

    real: Bool[Tensor, "answer time"]
    """Tokens of the answer; every answer has at least one."""
    rewards: PerAnswer
    """Of the whole answer; higher is better."""
    group: Int[Tensor, " answer"]
    """Number of its prompt: answers with one number are to the same prompt."""
    old: PerToken | None = None
    """log π of every token under the weights that wrote it, nats. None where these are the weights of the update."""
    reference: PerToken | None = None
    """log π_ref of every token, nats; need `reference`."""
    values: PerToken | None = None
    """V of the state before each token, under the weights that wrote it; need `values`."""

    def __post_init__(self) -> None:
        if not bool(self.real[:, :1].all()):
            raise ValueError("every answer must have a token: an answer without one can be neither written nor learnt")
        if not bool(self.rewards.isfinite().all()):
            raise ValueError("every reward must be finite: leave answers without a reward out")

    @property
    def lengths(self) -> PerAnswer:
        """Tokens of each answer."""
        return self.real.sum(dim=1).to(self.rewards.dtype)

    def part(self, answers: Int[Tensor, " some"]) -> "Written":
        """Some of the answers, in this order; the width stays."""
        names = ("real", "rewards", "group", "old", "reference", "values")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **{name: value[answers] for name, value in given.items()})


@dataclass(frozen=True, slots=True)
class Credit:
    """What each token is to be praised or blamed for. Made once from the whole batch, before any micro-batch."""

    advantages: PerToken
    """0 behind an answer's end; without gradient."""
    kept: Bool[Tensor, " answer"]
    """False for an answer that teaches nothing and is taken out of every mean."""
    returns: PerToken | None = None
    """What V should have said; need `values`."""

    def part(self, answers: Int[Tensor, " some"]) -> "Credit":
        """Some of the answers, in this order."""
        returns = None if self.returns is None else self.returns[answers]
        return Credit(self.advantages[answers], self.kept[answers], returns)


class Objective(NamedTuple):
    """The loss of a micro-batch as a sum and what it is over: Σ total / Σ weight is the loss of the whole batch."""

    total: Float[Tensor, ""]
    weight: float
    by_token: PerToken
    """The loss of each token before it is put together; 0 behind an answer's end."""
    ratio: PerToken
    """π / π_old as the method forms it (a sequence's ratio stands on each of its tokens), detached."""
    clipped: Bool[Tensor, "answer time"]
    """Where clipping has taken the gradient away."""


def log_ratio(policy: PerToken, written: Written) -> PerToken:
    """Log π − log π_old, nats; 0 behind an answer's end."""
    old = policy.detach() if written.old is None else written.old
    return torch.where(written.real, policy - old, 0.0)
