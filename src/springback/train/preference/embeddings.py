"""What a loss of answer embeddings sees of a batch of pairs, and which hidden states it asks for.

An embedding is made of the residual stream behind one block: of the states at the answer's tokens, its last one left
out, since a network is never asked what follows it. An answer of one token has the state that predicts it. The prompt's
embedding is the state at its last token, which has read the whole prompt.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

PerAnswer = Float[Tensor, "pair width"]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector of each answer of each pair, and of the prompt that both follow; not normalised."""

    chosen: PerAnswer
    rejected: PerAnswer
    prompt: PerAnswer


@dataclass(frozen=True, slots=True)
class States:
    """Which hidden states stand for an answer."""

    layer: int
    """Block behind which the residual stream is read, from 0; negative from the last."""
    pool: str
    """`mean` over the answer's positions, or the `last` of them alone."""

    def of(self, states: Float[Tensor, "time width"]) -> Float[Tensor, " width"]:
        """The embedding of one answer, from the states that predict its tokens, the prompt's last state first."""
        own = states[1:] if len(states) > 1 else states
        return own.mean(dim=0) if self.pool == "mean" else own[-1]
