"""SamPO (Lu et al., 2024): DPO on as many tokens of the longer answer as the shorter one has, drawn at random.

    ℓ = −log σ(β (Σ_{t∈S_w} [log π − log π_ref](y_w,t) − Σ_{t∈S_l} [log π − log π_ref](y_l,t)))
    |S_w| = |S_l| = min(|y_w|, |y_l|)

Removes the share of the margin that comes from the count of tokens alone. What a draw leaves out has no gradient in
that step; which tokens matter is not looked at.

Who does what: the authors' code draws anew in every forward pass, for policy and reference apart, so that its loss at
the reference is not log 2. Here both see the same tokens: the draw is a field, `after` moves it on, and a resumed run
draws what the uninterrupted one would have. A pair's draw depends on its place in the batch and on nothing in it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from springback import papers
from springback.train.preference import checks
from springback.train.preference.given import given
from springback.train.preference.method import Law, Need
from springback.train.preference.pairs import Both, PairLogprobs, PerPair

_PLACES = 2**20
"""More pairs than a batch has, so that no two (draw, place) share a seed."""


@dataclass(frozen=True, slots=True)
class SamPO:
    """One draw a step."""

    paper: ClassVar = papers.SAMPO
    needs: ClassVar[AbstractSet[Need]] = frozenset({"pairs", "reference", "lengths", "tokens", "statistics"})
    breaks: ClassVar[AbstractSet[Law]] = frozenset(
        {"only the margin matters", "length does not matter", "repetition does not matter"}
    )
    formula: ClassVar = "−log σ(βΔ) over min(|y_w|, |y_l|) drawn tokens of each answer"

    beta: float = 0.1
    """Strength of the pull towards the reference."""
    draw: int = 0
    """Statistic: how many draws have been made; it seeds this one."""

    def __post_init__(self) -> None:
        checks.positive(beta=self.beta)
        checks.require(self.draw >= 0, "draw", "a whole number of at least 0", self.draw)

    def __call__(self, policy: PairLogprobs, reference: PairLogprobs) -> PerPair:
        return -F.logsigmoid(self.beta * (_drawn(policy, self.draw).margin - _drawn(reference, self.draw).margin))

    def after(self, policy: PairLogprobs, reference: PairLogprobs) -> "SamPO":
        """The method of the next step, which draws anew."""
        del policy, reference
        return replace(self, draw=self.draw + 1)


def _drawn(batch: PairLogprobs, draw: int) -> Both:
    """Sums over the drawn tokens: by draw, place and lengths alone, so policy and reference share them, nats."""
    tokens, lengths = given(batch.by_token, "tokens"), batch.lengths
    kept = _Kept(torch.zeros_like(tokens.chosen, dtype=torch.bool), torch.zeros_like(tokens.rejected, dtype=torch.bool))
    counts = zip(lengths.chosen.tolist(), lengths.rejected.tolist(), strict=True)
    for place, (chosen, rejected) in enumerate(counts):
        generator = torch.Generator().manual_seed(draw * _PLACES + place)
        shorter = int(min(chosen, rejected))
        kept.chosen[place, torch.randperm(int(chosen), generator=generator)[:shorter]] = True
        kept.rejected[place, torch.randperm(int(rejected), generator=generator)[:shorter]] = True
    return Both(_sum(tokens.chosen, kept.chosen, batch.chosen), _sum(tokens.rejected, kept.rejected, batch.rejected))


class _Kept(NamedTuple):
    chosen: Bool[Tensor, "pair chosen_time"]
    rejected: Bool[Tensor, "pair rejected_time"]


def _sum(tokens: Float[Tensor, "pair time"], kept: Bool[Tensor, "pair time"], like: PerPair) -> PerPair:
    return tokens.to(like).where(kept, 0.0).sum(dim=1)
