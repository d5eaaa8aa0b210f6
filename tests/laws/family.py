"""One batch of pairs as every member of the family sees it; the laws draw `Numbers` and know no more of a member.

To add a member with inputs of its own: fill what it needs in `seen`, or its own types in `inputs`. The numbers stay
the leaves, so that d_w and d_l are −∂/∂chosen and ∂/∂rejected of `losses(…).sum()`.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from springback.train.preference import LOSSES
from springback.train.preference.on_pairs import per_pair
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs, Prompts

PAIRS = 4


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of a batch of pairs: log-probabilities in nats, float64, and token counts as floats."""

    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor
    ref_rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor

    def at_the_reference(self) -> "Numbers":
        return replace(self, chosen=self.ref_chosen.clone(), rejected=self.ref_rejected.clone())

    def pair(self, i: int) -> "Numbers":
        return Numbers(*(getattr(self, name)[i : i + 1] for name in Numbers.__slots__))


def _column(strategy: st.SearchStrategy[float]) -> st.SearchStrategy[Tensor]:
    drawn = st.lists(strategy, min_size=PAIRS, max_size=PAIRS)
    return drawn.map(lambda values: torch.tensor(values, dtype=torch.float64))


logprobs = _column(st.floats(-60, -0.05))
counts = _column(st.integers(1, 60).map(float))
numbers = st.builds(Numbers, logprobs, logprobs, logprobs, logprobs, counts, counts)


def inputs(name: str, pairs: Numbers) -> tuple[PairLogprobs, PairLogprobs]:
    """(policy, reference) of the member of this name, as pairs; `per_pair` makes lists or labelled examples of them."""
    del name
    policy = replace(seen(pairs.chosen, pairs.rejected, pairs), mismatched=torch.tensor([0.5, -0.1]).double())
    reference = seen(pairs.ref_chosen, pairs.ref_rejected, pairs)
    return policy, replace(reference, mismatched=torch.zeros(2).double())


def losses(name: str, pairs: Numbers, method: Any = None) -> Tensor:
    """The member's loss of each pair, at its defaults unless another of its methods is given."""
    return per_pair(LOSSES[name]() if method is None else method, *inputs(name, pairs))


def weights(name: str, pairs: Numbers, method: Any = None) -> tuple[Tensor, Tensor]:
    """d_w and d_l of the batch's summed loss, per unit of summed log-probability."""
    chosen, rejected = pairs.chosen.clone().requires_grad_(), pairs.rejected.clone().requires_grad_()
    total = losses(name, replace(pairs, chosen=chosen, rejected=rejected), method).sum()
    up, down = torch.autograd.grad(total, (chosen, rejected), allow_unused=True)
    return -_or_zero(up, chosen), _or_zero(down, rejected)


def seen(chosen: Tensor, rejected: Tensor, pairs: Numbers) -> PairLogprobs:
    """Everything that any member needs of a pair: tokens of an answer are equally likely, the rest is constant.

    The divergences from the reference are 0 where the margin is the reference's, as they are at the reference itself.
    """
    tokens = Both(pairs.chosen_tokens, pairs.rejected_tokens)
    spread = BothByToken(_spread(chosen, tokens.chosen), _spread(rejected, tokens.rejected))
    collision = BothByToken(torch.zeros_like(spread.chosen), torch.zeros_like(spread.rejected))
    moved = (((chosen - rejected) - (pairs.ref_chosen - pairs.ref_rejected)).detach().abs() > 1e-9).to(chosen)
    divergence = Both(0.4 * moved, 0.7 * moved)
    prompt = Prompts(torch.full_like(chosen, -20.0), torch.full_like(chosen, 11.0))
    return PairLogprobs(chosen, rejected, tokens, spread, collision, divergence, prompt)


def _spread(sums: Tensor, tokens: Tensor) -> Tensor:
    width = int(tokens.max().item())
    return (sums / tokens.clamp_min(1))[:, None] * (torch.arange(width) < tokens[:, None])


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient
