"""What every policy method states about itself, and what the training asks of it.

    credit    once for each batch of written answers: rewards → advantages (and what values should have said)
    call      for each micro-batch: log-probabilities with their graph → a sum and what it is over

A method is a frozen dataclass; its fields are its options. `beta`, `kl`, `kl_in` are its penalty: `train/policy/kl.py`.
"""

from collections.abc import Set as AbstractSet
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from springback.papers import Paper
from springback.train.policy.kl import Estimator, Place
from springback.train.policy.written import Credit, Need, Objective, PerToken, Written


@runtime_checkable
class PolicyMethod(Protocol):
    """A way of learning from answers that the policy wrote and somebody rewarded."""

    paper: ClassVar[Paper]
    needs: ClassVar[AbstractSet[Need]]
    """Without `reference`, which it needs exactly where `beta` > 0."""

    @property
    def beta(self) -> float: ...
    @property
    def kl(self) -> Estimator: ...
    @property
    def kl_in(self) -> Place: ...

    def credit(self, written: Written) -> Credit:
        """Advantages of the whole batch."""
        ...

    def __call__(self, policy: PerToken, written: Written, credit: Credit, values: PerToken | None = None) -> Objective:
        """Loss of some of the answers; `policy` is log π of their tokens in nats, with its graph, 0 behind the end."""
        ...


def all_kept(written: Written) -> Bool[Tensor, " answer"]:
    """No answer is taken out."""
    return torch.ones(len(written.rewards), dtype=torch.bool, device=written.rewards.device)
