"""V of every state: a linear map of the policy's last hidden states, starting at 0.

It reads the states that predict answer tokens, so V_t is of the text before token t. No gradient goes back into the
network: what V learns does not move the policy, and a policy trained with another method is not disturbed by it.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from springback.fit.masters import MasterAdamW

PREFIX = "value_head/"


class ValueHead(nn.Module):
    """hidden → 1, in float32."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Float[Tensor, "token hidden"]) -> Float[Tensor, " token"]:
        """One value a state, in units of reward."""
        return self.linear(states.detach().float()).squeeze(-1)


class WithValues:
    """The policy's optimiser and the value head's, as one: `rate` times the policy's learning rate for the head.

    Gradients are clipped by the policy's norm alone; the head has its own.
    """

    def __init__(self, policy: MasterAdamW, head: ValueHead, *, rate: float) -> None:
        self.policy, self.head, self.rate = policy, MasterAdamW(head, betas=policy.betas), rate

    def fold(self) -> None:
        self.policy.fold()
        self.head.fold()

    def norm(self) -> float:
        """Of the policy's gradient."""
        own = self.head.norm()
        return self.policy.norm() if own == own else own  # NaN of either is NaN

    def faulty(self) -> list[str]:
        return [*self.policy.faulty(), *self.head.faulty()]

    def step(self, *, lr: float, scale: float) -> None:
        self.policy.step(lr=lr, scale=scale)
        self.head.step(lr=lr * self.rate, scale=scale)

    def discard(self) -> None:
        self.policy.discard()
        self.head.discard()

    def state(self) -> dict[str, Tensor]:
        """Both, the head's under a prefix of its own."""
        return self.policy.state() | {PREFIX + name: tensor for name, tensor in self.head.state().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take back a `state`."""
        self.policy.load({name: state[name] for name in state if not name.startswith(PREFIX)})
        self.head.load({name.removeprefix(PREFIX): state[name] for name in state if name.startswith(PREFIX)})
