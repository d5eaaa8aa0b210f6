"""What the inner products of a pair and the weights of a loss say of the next step. Pure functions of tensors.

One step of plain gradient descent of size η on the pair moves θ by η (d_w g_w − d_l g_l), so to first order

    Δlog π_w / η = d_w ww − d_l wl        chosen rises  ⇔  d_w ww > d_l wl
    Δlog π_l / η = d_w wl − d_l ll        rejected falls ⇔  d_l ll > d_w wl
    Δmargin / η  = d_w ww − (d_w + d_l) wl + d_l ll

Signs of d: d_w > 0 pushes the chosen answer up, d_w < 0 down (a target that is passed, a loss that lowers both);
d_l > 0 pushes the rejected answer down, d_l < 0 up. Where d_w = d_l > 0 the margin cannot shrink; else it can.
With the inner products of another metric, ⟨x, y⟩_P, all of it holds for the step that P preconditions, for no other.
"""

from enum import StrEnum
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from springback.train.entanglement.gram import Grams, PerPair
from springback.train.entanglement.weights import Weights


class Case(StrEnum):
    """Section 3.1.1 of the paper: what equal pushes (d_w = d_l > 0) do, by the inner product alone."""

    IDEAL = "1"
    """⟨g_w,g_l⟩ ≤ both squares: chosen rises, rejected falls."""
    BOTH_FALL = "2"
    """‖g_w‖² < ⟨g_w,g_l⟩ ≤ ‖g_l‖²."""
    BOTH_RISE = "3"
    """‖g_l‖² < ⟨g_w,g_l⟩ ≤ ‖g_w‖²."""
    NEITHER = "neither"
    """⟨g_w,g_l⟩ above both squares: by Cauchy–Schwarz only through rounding, or where something is not a number."""


class Changes(NamedTuple):
    """First-order changes for each unit of learning rate, nats."""

    chosen: PerPair
    rejected: PerPair

    @property
    def margin(self) -> PerPair:
        return self.chosen - self.rejected


class Split(NamedTuple):
    """Changes by one step on a whole batch: the pair's own part, and what the other pairs do to it."""

    own: Changes
    others: Changes

    @property
    def whole(self) -> Changes:
        return Changes(self.own.chosen + self.others.chosen, self.own.rejected + self.others.rejected)


class Held(NamedTuple):
    """Which of the two wishes one step on this pair alone fulfils, to first order. Equality counts as held."""

    chosen_rises: Bool[Tensor, " pair"]
    rejected_falls: Bool[Tensor, " pair"]

    @property
    def both(self) -> Bool[Tensor, " pair"]:
        return self.chosen_rises & self.rejected_falls


class Band(NamedTuple):
    """Of q = d_w/d_l for d_l > 0: inside, chosen rises and rejected falls. NaN where a gradient is zero."""

    low: PerPair
    """max(0, ⟨g_w,g_l⟩)/‖g_w‖²: below it the chosen answer falls."""
    centre: PerPair
    """q* = ‖g_l‖/‖g_w‖, inside every band."""
    high: PerPair
    """‖g_l‖²/⟨g_w,g_l⟩, ∞ where the inner product is ≤ 0: above it the rejected answer rises."""


def cosine(grams: Grams) -> PerPair:
    """ρ of the two gradients in [−1, 1]; NaN where one of them is zero."""
    return (grams.wl / (grams.ww * grams.ll).sqrt()).clamp(-1, 1)


def own_changes(grams: Grams, weights: Weights) -> Changes:
    """By a step on each pair alone, loss ℓ of that pair, for each unit of learning rate."""
    up, down = _double(weights)
    return Changes(up * grams.ww - down * grams.wl, up * grams.wl - down * grams.ll)


def batch_changes(gram: Float64[Tensor, "answer answer"], weights: Weights) -> Split:
    """By one step on the mean loss of N pairs, from the products of all 2N answers, chosen before rejected.

    Δlog π_i/η = −Σ_k G_ik ∂L/∂log π_k. The own part keeps k of the same pair; a cure acts on that part only.
    """
    up, down = _double(weights)
    pairs = len(up)
    if gram.shape != (2 * pairs, 2 * pairs):
        raise ValueError(f"{pairs} pairs have {2 * pairs} answers, got products of shape {[*gram.shape]}")
    whole = gram @ torch.cat([up, -down]) / pairs
    blocks = gram.unflatten(1, (2, pairs)).unflatten(0, (2, pairs)).diagonal(dim1=1, dim2=3)
    own = own_changes(Grams(blocks[0, 0], blocks[1, 1], blocks[0, 1]), weights)
    own = Changes(own.chosen / pairs, own.rejected / pairs)
    return Split(own, Changes(whole[:pairs] - own.chosen, whole[pairs:] - own.rejected))


def condition(grams: Grams, weights: Weights) -> Held:
    """The general condition: d_w ww ≥ d_l wl, and d_l ll ≥ d_w wl. For d_w = d_l > 0, Condition 1 of the paper."""
    changes = own_changes(grams, weights)
    return Held(changes.chosen >= 0, changes.rejected <= 0)


def band(grams: Grams) -> Band:
    """For which q = d_w/d_l > 0 both wishes are fulfilled (2604.18239's disentanglement band); it is never empty."""
    nothing = (grams.ww <= 0) | (grams.ll <= 0)
    low = grams.wl.clamp_min(0) / grams.ww
    high = torch.where(grams.wl > 0, grams.ll / grams.wl, torch.inf)
    found = (low, (grams.ll / grams.ww).sqrt(), high)
    return Band(*(torch.where(nothing, torch.nan, one) for one in found))


def ratio(weights: Weights) -> PerPair:
    """The q = d_w/d_l that a band is for; NaN unless both are pushed the wished way (d_w ≥ 0 and d_l > 0)."""
    up, down = _double(weights)
    return torch.where((up >= 0) & (down > 0), up / down, torch.nan)


def inside(grams: Grams, weights: Weights) -> Bool[Tensor, " pair"]:
    """Whether q lies in the band, borders included; False where there is no q or no band."""
    q, of = ratio(weights), band(grams)
    return (of.low <= q) & (q <= of.high)


def cases(grams: Grams) -> list[Case]:
    """The paper's case of each pair; it knows no loss and speaks of equal pushes only."""
    return [_case(*pair) for pair in zip(grams.ww.tolist(), grams.ll.tolist(), grams.wl.tolist(), strict=True)]


def _case(ww: float, ll: float, wl: float) -> Case:
    if wl <= ww and wl <= ll:
        return Case.IDEAL
    if ww < wl <= ll:
        return Case.BOTH_FALL
    return Case.BOTH_RISE if ll < wl <= ww else Case.NEITHER


def _double(weights: Weights) -> tuple[PerPair, PerPair]:
    return weights.chosen.detach().cpu().double(), weights.rejected.detach().cpu().double()
