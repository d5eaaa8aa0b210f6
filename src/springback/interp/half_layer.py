"""One number for a layer curve: after which block half of the change in margin has come across."""

import math

import numpy as np
from numpy.typing import NDArray

from springback.interp.layer_swap import SwapCurve, recovered
from springback.stats.bootstrap import counts
from springback.stats.measured import Measured, unmeasured

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2


def half_layer(curve: SwapCurve) -> Measured:
    """The first layer after which half of the change in margin is recovered, interpolated; interval over pairs.

    Unmeasured where the change itself may be 0, or where half is not reached in some of the resamples.
    """
    change = recovered(curve.donor, curve.host, curve.donor)
    if not change.measured:
        return unmeasured(change.why or "the change in margin was not measured")
    gains, changes = (curve.swapped - curve.host).numpy(), (curve.donor - curve.host).numpy()
    layers = np.asarray(curve.layers, dtype=np.float64)
    estimate = _crossing(gains.mean(axis=1, keepdims=True).T / changes.mean(), layers)[0]
    drawn = counts(len(changes))
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = _crossing(drawn @ gains.T / (drawn @ changes)[:, None], layers)
    if not math.isfinite(estimate) or np.isnan(resampled).mean() > TAIL:
        return unmeasured("half of the change in margin is not reached at every resample")
    resampled = np.where(np.isnan(resampled), layers[-1], resampled)
    low, high = np.quantile(resampled, [TAIL, 1 - TAIL])
    return Measured(
        float(estimate), float(min(low, estimate)), float(max(high, estimate)), LEVEL, len(changes), "pairs", "layer"
    )


def _crossing(shares: NDArray[np.float64], layers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each row of shares first reaches one half, linear between layers; NaN where it never does."""
    reached = shares >= 0.5
    first = reached.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    rows = np.arange(len(shares))
    low, high = shares[rows, before], shares[rows, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(first == 0, 0.0, (0.5 - low) / (high - low))
    found = layers[before] + part * (layers[first] - layers[before])
    return np.where(reached.any(axis=1), found, np.nan)
