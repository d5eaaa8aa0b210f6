"""What a cure would make of the pulls (d_w, d_l) of each pair, as a function of numbers: no training, no network.

A cure acts on a pair's own term; what the rest of the batch does to the pair stays. Pairwise normalised descent holds
by construction in the inner product it is made in (Cauchy–Schwarz), here that of the diagnosis: that row is no finding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from springback.train.entanglement import Grams, Weights
from springback.train.entanglement.pairwise_normalised import PairwiseNormalised

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The pairs as arrays, one value a pair."""

    ww: Values
    ll: Values
    wl: Values
    chosen: Values
    """log π_w − log ref_w, nats."""
    chosen_tokens: Values


@dataclass(frozen=True, slots=True)
class Pulls:
    """d_w and d_l of each pair."""

    chosen: Values
    rejected: Values

    def changes(self, of: Numbers) -> tuple[Values, Values]:
        """Predicted change of both log-probabilities, each pair alone, for each unit of learning rate."""
        return (self.chosen * of.ww - self.rejected * of.wl, self.chosen * of.wl - self.rejected * of.ll)


Cure = Callable[[Pulls, Numbers], Pulls]


def normalised(pull: Pulls, of: Numbers) -> Pulls:
    """Pairwise normalised descent, product form: d_w : d_l = ‖g_l‖ : ‖g_w‖ with their product kept."""
    grams = Grams(*(torch.from_numpy(column) for column in (of.ww, of.ll, of.wl)))
    found = PairwiseNormalised()(grams, Weights(torch.from_numpy(pull.chosen), torch.from_numpy(pull.rejected)))
    return Pulls(found.chosen.numpy(), found.rejected.numpy())


def calibrated(pull: Pulls, of: Numbers) -> Pulls:
    """Reward calibration (2604.18239) with one ratio for all pairs, from mean norms, as its release has it."""
    ratio = float(np.sqrt(of.ll).mean() / max(np.sqrt(of.ww).mean(), 1e-300))
    mean = float(pull.chosen.mean() / pull.rejected.mean()) if pull.rejected.mean() else 1.0
    delta = np.sqrt(ratio / mean) if ratio > 0 and mean > 0 else 1.0
    return Pulls(pull.chosen * delta, pull.rejected / delta)


def anchored(pull: Pulls, of: Numbers, *, weight: float = 1.0) -> Pulls:
    """NLL anchor (Pang et al., 2024): d_w grows by weight / |y_w|."""
    return Pulls(pull.chosen + weight / np.maximum(of.chosen_tokens, 1), pull.rejected)


def positive(pull: Pulls, of: Numbers, *, penalty: float = 50.0) -> Pulls:
    """DPOP's switch (Pal et al., 2024) at these pulls: d_w × (1 + λ) where the chosen answer is below its reference."""
    return Pulls(np.where(of.chosen < 0, (1 + penalty) * pull.chosen, pull.chosen), pull.rejected)


def shifted(pull: Pulls, of: Numbers, *, share: float = 0.75) -> Pulls:
    """DPO-Shift (Yang et al., 2025) at these pulls: d_l × f."""
    del of
    return Pulls(pull.chosen, share * pull.rejected)


CURES: Final[Mapping[str, tuple[Cure, str]]] = {
    "pairwise normalised": (
        normalised,
        "holds by construction in this diagnosis's inner product, in no other",
    ),
    "reward calibration": (calibrated, "one ratio for all pairs, from mean norms"),
    "NLL anchor": (anchored, "d_w + 1/|y_w|; can shrink the margin"),
    "DPOP": (positive, "λ 50 where the chosen answer is below its reference; nothing at the reference itself"),
    "DPO-Shift": (shifted, "d_l × 0.75; costs margin"),
}
"""Name → the cure and what to know beside its row."""
