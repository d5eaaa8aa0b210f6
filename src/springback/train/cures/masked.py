"""Token masks by rule (the idea of Yuan et al., 2024, section 5.2, with fixed masks): only some tokens are pushed.

    r(y) = Σ_t m_t · log π(y_t)        in policy and reference alike, so the loss at the reference is what it was

Tokens under a mask of 0 carry no push of their own; gradients of the others still reach them through the network. A
mean log-probability is a mean over what the mask leaves. The masks are made once, before the first step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from springback import papers
from springback.fit.loop import Optimizer
from springback.models.pair_tokens import Item
from springback.models.rows import RowPair
from springback.train.entanglement.by_token import token_marginals
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs
from springback.train.preference_step import Batch, PairedLoss, Uncured

Mask = tuple[Tensor, Tensor]
"""m of each chosen and each rejected token, in [0, 1]."""


class Masking(Uncured):
    """Masks at work: one for each item by its place in the training set."""

    needs = frozenset({"lengths", "tokens"})

    def __init__(self) -> None:
        self.masks: list[Mask] = []

    def prepare(self, network: nn.Module, items: Sequence[Item]) -> None:
        self.masks = [self.mask(network, item) for item in items if isinstance(item, RowPair)]

    def mask(self, network: nn.Module, pair: RowPair) -> Mask:
        raise NotImplementedError

    def losses(self, batch: Batch, loss: PairedLoss, policy: Any, reference: Any) -> Tensor:
        weights = [self.masks[place] for place in batch.places]
        masked = [None if one is None else under(one, weights) for one in (policy, reference)]
        return loss(*masked)

    def tensors(self) -> dict[str, Tensor]:
        flat = [side for mask in self.masks for side in mask]
        return {"mask": torch.cat(flat), "lengths": torch.tensor([len(side) for side in flat])}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        sides = tensors["mask"].split(tensors["lengths"].tolist())
        self.masks = list(zip(sides[0::2], sides[1::2], strict=True))

    def told(self) -> dict[str, Any]:
        """Share of answer tokens that are pushed, over the whole training set."""
        flat = torch.cat([side for mask in self.masks for side in mask])
        return {"pushed": float(flat.mean())}


def under(found: PairLogprobs, masks: Sequence[Mask]) -> PairLogprobs:
    """The log-probabilities of what the masks leave; `by_token` must be there."""
    assert found.by_token is not None
    like = found.by_token
    chosen, rejected = (pad_sequence([mask[side] for mask in masks], batch_first=True) for side in (0, 1))
    weights = BothByToken(chosen.to(like.chosen), rejected.to(like.rejected))
    kept = BothByToken(like.chosen * weights.chosen, like.rejected * weights.rejected)
    tokens = Both(weights.chosen.sum(dim=1), weights.rejected.sum(dim=1))
    return replace(
        found, chosen=kept.chosen.sum(dim=1), rejected=kept.rejected.sum(dim=1), tokens=tokens, by_token=kept
    )


@dataclass(frozen=True, slots=True)
class Differing:
    """Pushes the tokens in which the two answers differ, by the longest matching runs of their tokens."""

    paper: ClassVar = papers.ENTANGLEMENT
    sums_only: ClassVar = False

    first: int = 0
    """Only so many of them in each answer, from its first; 0 for all."""

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError(f"first must be at least 0, got {self.first}")

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network, optimizer
        return _Differing(self.first)


class _Differing(Masking):
    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def mask(self, network: nn.Module, pair: RowPair) -> Mask:
        del network
        return differing(pair, first=self.first)


def differing(pair: RowPair, *, first: int = 0) -> Mask:
    """1 at tokens outside the answers' matching runs."""
    one, other = pair.chosen.answer, pair.rejected.answer
    sides = torch.ones(len(one)), torch.ones(len(other))
    for run in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks():
        sides[0][run.a : run.a + run.size] = 0
        sides[1][run.b : run.b + run.size] = 0
    if not first:
        return sides
    return tuple(side * (side.cumsum(dim=0) <= first) for side in sides)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True, slots=True)
class LowEntanglement:
    """Pushes the tokens of each answer that the other answer's gradient pulls along least, by ⟨g_{w,t}, g_l⟩ at the
    start; those of a negative product are driven apart by the push on the other answer.
    """

    paper: ClassVar = papers.ENTANGLEMENT
    sums_only: ClassVar = False

    share: float = 0.5
    """Of each answer's tokens, at least one."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network, optimizer
        return _LowEntanglement(self.share)


class _LowEntanglement(Masking):
    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def mask(self, network: nn.Module, pair: RowPair) -> Mask:
        found = token_marginals(network, pair)
        return _lowest(found.chosen, self.share), _lowest(found.rejected, self.share)


def _lowest(values: Tensor, share: float) -> Tensor:
    kept = values.argsort(stable=True)[: max(1, round(share * len(values)))]
    return torch.zeros(len(values)).index_fill(0, kept.cpu(), 1.0)
