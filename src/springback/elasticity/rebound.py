"""Rebound: what a reversal takes back of what an alignment gained (Ji et al. 2024, *Language Models Resist Alignment*).

Pure arithmetic on one value per item (a prompt's score, a pair's margin) read at the start, after aligning and after
reversing, on the same items in the same order. Higher is more of the wanted behaviour. Each function returns one value
per item, in the unit of the reading; the mean over items is the quantity named. Shares are ratios of means, never
means of ratios (a share per item divides by noise).

Not guaranteed: that a fall is due to the alignment. Any further tuning moves a model; see `beyond`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.float64]


def gain(start: Items, aligned: Items) -> Items:
    """What aligning added."""
    return aligned - start


def change(before: Items, after: Items) -> Items:
    """What further tuning did: negative where the wanted behaviour fell."""
    return after - before


def beyond(before: Items, after: Items, other_before: Items, other_after: Items) -> Items:
    """The change less another model's change under the same tuning: negative where this one falls further."""
    return change(before, after) - change(other_before, other_after)


def half_undone(start: Items, aligned: Items, after: Items, *, share: float = 0.5) -> Items:
    """What was lost less this share of the gain: positive where more than the share is undone. Divides by nothing."""
    return -change(aligned, after) - share * gain(start, aligned)


def undone(start: Items, aligned: Items, after: Items) -> tuple[Items, Items]:
    """Numerators and denominators of the undone share: 0 as aligned, 1 back at the start, more past it."""
    return -change(aligned, after), gain(start, aligned)


def overshoot(start: Items, after: Items) -> Items:
    """How far past the start the reversal has gone: negative where it has not come back so far."""
    return start - after


def initial_slope(aligned: Items, after_first: Items, *, steps: int) -> Items:
    """Change per optimiser step over the first reversal size; a size of no step is an error."""
    if steps < 1:
        raise ValueError(f"A slope needs at least one optimiser step, got {steps}")
    return change(aligned, after_first) / steps


class ClosestReturn(NamedTuple):
    """The reversed point nearest to the start."""

    examples: int
    """Reversed examples at which it is reached; 0 where no reversed point is nearer than the aligned model."""
    distance: float
    """Its distance from the start, in the unit given (KL: bit/token)."""


def closest_return(aligned: float, after: Mapping[int, float]) -> ClosestReturn:
    """The smallest distance from the start over the reversal sizes `{examples: distance}`, fewest examples first."""
    nearest = min(after, key=lambda n: (after[n], n), default=0)
    return ClosestReturn(nearest, after[nearest]) if nearest and after[nearest] < aligned else ClosestReturn(0, aligned)
