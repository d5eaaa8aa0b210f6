"""V of a policy method that is a way of tuning: a head of its own, which learns before each of the policy's steps.

The head reads states that carry no gradient back (`train/policy/value_head.py`), so its step and the policy's do not
touch each other and either may come first; both are of the loss at the old V. Its rate does not warm up, and its
gradient is not clipped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.fit.masters import MasterAdamW
from springback.train.policy.value_head import ValueHead
from springback.train.policy.written import Objective


@dataclass(frozen=True, slots=True)
class Values:
    """A value head and its optimiser; both begin anew with a chain."""

    head: ValueHead
    optimizer: MasterAdamW
    lr: float

    @classmethod
    def of(cls, hidden: int, *, lr: float, device: torch.device) -> "Values":
        """V = 0 everywhere."""
        head = ValueHead(hidden).to(device)
        return cls(head, MasterAdamW(head), lr)

    def learn(self, values: Tensor, objective: Callable[[Tensor], Objective]) -> None:
        """One step on the mean that `objective` states of these values, whose graph leads to the head alone."""
        found = objective(values)
        found.total.backward()
        self.optimizer.step(lr=self.lr, scale=1.0 / max(found.weight, 1.0))
        self.optimizer.discard()
