"""Entanglement over time: the inner products of training pairs' gradients at each reading, in the weights as they are.

Euclidean, over what is trained, whole answers. The paper's cases 2 (both fall) and 3 (both rise) are those of equal
pushes; with another loss or a cure the general condition is another one (`train.entanglement.conditions`).
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from springback.experiments.entangle.agreement import share
from springback.experiments.prefer.readings import Set
from springback.models.layout import chosen as spread
from springback.models.rows import RowPair
from springback.stats.measured import Measured, mean, unmeasured
from springback.train.entanglement import Grams, PairGram, inner_products
from springback.train.entanglement.conditions import Case, cases, cosine


def pairs_of(found: Set, most: int) -> list[RowPair]:
    """At most `most` pairs of a set, evenly spaced; none where its answers are in no pairs."""
    if not found.paired or not most:
        return []
    rows = list(zip(found.chosen, found.rejected, strict=True))
    taken = spread(len(rows), min(most, len(rows))) if len(rows) > 1 else range(len(rows))
    return [RowPair(*rows[place]) for place in taken]


def entanglement(network: nn.Module, pairs: Sequence[RowPair], step: int) -> dict[str, Any]:
    """The body of an `entanglement` record."""
    found = inner_products(network, pairs)
    return {
        "step": step,
        "set": "train",
        "metric": "euclidean",
        "pairs": len(pairs),
        **summary(found.pairs),
        "note": found.note,
    }


def summary(found: Sequence[PairGram]) -> dict[str, Any]:
    """Mean cosine of both gradients over the pairs, and the shares of pairs in case 2 and in case 3."""
    grams = Grams.of([pair.whole for pair in found])
    angles = [float(angle) for angle in cosine(grams) if bool(angle.isfinite())]
    named = cases(grams)
    return {
        "cosine": _mean(angles).json(),
        "case_2": share([case is Case.BOTH_FALL for case in named], over="pairs").json(),
        "case_3": share([case is Case.BOTH_RISE for case in named], over="pairs").json(),
    }


def _mean(angles: Sequence[float]) -> Measured:
    return mean(angles, over="pairs", unit="cosine") if angles else unmeasured("no pair has two gradients")
