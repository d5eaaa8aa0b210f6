"""Whether differences of scores are the log-odds that they claim to be. Torch-free.

The model says that the better answer wins with probability σ(Δ). Its confidence is σ(|Δ|), and it is right where Δ > 0.
ECE (Guo et al., 2017) is the mean distance of confidence and share right over bins of confidence. It is above 0 for a
calibrated model too, because shares of few pairs scatter: what it would be then is drawn beside it.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from springback.experiments.reward.heldout import Array, HeldOut, per_row, share
from springback.stats.measured import Measured, unmeasured

EDGES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the bins of confidence."""
DRAWS: Final = 999
HALF_CHI2: Final = 1.920729
"""Half of the 95 % point of χ² on one degree: how far the log-likelihood falls at the ends of an interval."""
FLATTEST, STEEPEST = 2.0**-40, 2.0**40
"""Inverse temperatures between which one is looked for."""


def calibration(held: HeldOut) -> dict[str, Any]:
    """Brier score, log loss, ECE with what chance alone would give, temperature, and the bins."""
    pairs, over = held.ordered, held.over
    chance = sigmoid(pairs.difference)
    confidence = np.maximum(chance, 1 - chance)
    return {
        "log_loss": per_row(-_log_sigmoid(pairs.difference), pairs.row, over=over, unit="nat/pair").json(),
        "brier": per_row((1 - chance) ** 2, pairs.row, over=over, unit="squared error").json(),
        "ece": _ece(pairs.right, confidence, pairs.row, over).json(),
        "ece_if_calibrated": _chance_ece(confidence, over).json(),
        "temperature": temperature(pairs.difference, pairs.row, over).json(),
        "bins": _bins(pairs.right, confidence, pairs.row, over),
    }


def temperature(differences: Array, row: NDArray[np.int64], over: str) -> Measured:
    """T of the likeliest σ(Δ/T), a row's pairs together weighing 1; above 1 the model is too sure.

    Interval by likelihood ratio; its upper end is open where no order at all is likely enough. Fitted on these very
    pairs. Unmeasured where every pair is right (T → 0) or where the order is no better than chance.
    """
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    weights = 1 / counts[place] if counts.size else np.empty(0)
    slope = lambda b: float((weights * differences * sigmoid(-b * differences)).sum())
    if not differences.size or slope(0.0) <= 0:
        return unmeasured("the scores order these pairs no better than chance")
    if not (differences < 0).any():
        return unmeasured("every pair is right: the likeliest temperature is 0")
    best = _root(slope, FLATTEST, STEEPEST)
    fall = lambda b: float((weights * _log_sigmoid(b * differences)).sum())
    under = lambda b: fall(b) - fall(best) + HALF_CHI2
    steep = _root(lambda b: under(b), best, STEEPEST)
    flat = None if under(0.0) >= 0 else _root(lambda b: -under(b), 0.0, best)
    return Measured(1 / best, 1 / steep, None if flat is None else 1 / flat, 0.95, counts.size, over, "temperature")


def sigmoid(x: Array) -> Array:
    """1/(1 + e^−x), without overflow."""
    return np.exp(_log_sigmoid(x))


def _log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0.0, -x)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls through 0 between two places is 0, by halving."""
    for _ in range(200):
        middle = math.sqrt(low * high) if low > 0 else (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _ece(right: Array, confidence: Array, row: NDArray[np.int64], over: str) -> Measured:
    if right.size < 2:
        return unmeasured("fewer than two held-out pairs")
    members = _members(confidence)
    gaps = members * (right - confidence)[:, None]  # a bin's share times |share right − confidence| is |Σ gaps| / n
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    by_row = np.stack([np.bincount(place, weights=column, minlength=counts.size) for column in gaps.T])
    generator = np.random.default_rng([20_250_115, counts.size])
    drawn = np.empty(DRAWS)
    for index in range(DRAWS):
        times = np.bincount(generator.integers(counts.size, size=counts.size), minlength=counts.size)
        drawn[index] = np.abs(by_row @ times).sum() / float(counts @ times)
    estimate = float(np.abs(gaps.sum(0)).sum() / right.size)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Measured(estimate, min(float(low), estimate), max(float(high), estimate), 0.95, counts.size, over, "ECE")


def _chance_ece(confidence: Array, over: str) -> Measured:
    """Mean and 95 % range of the ECE of a model whose confidences are all true."""
    if confidence.size < 2:
        return unmeasured("fewer than two held-out pairs")
    members, generator = _members(confidence), np.random.default_rng([20_250_116, confidence.size])
    drawn = np.empty(DRAWS)
    for index in range(DRAWS):
        right = generator.random(confidence.size) < confidence
        drawn[index] = np.abs(((right - confidence)[:, None] * members).sum(0)).sum() / confidence.size
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Measured(float(drawn.mean()), float(low), float(high), 0.95, confidence.size, over, "ECE")


def _members(confidence: Array) -> Array:
    place = np.clip(np.digitize(confidence, EDGES) - 1, 0, len(EDGES) - 2)
    return (place[:, None] == np.arange(len(EDGES) - 1)).astype(np.float64)


def _bins(right: Array, confidence: Array, row: NDArray[np.int64], over: str) -> list[dict[str, Any]]:
    members = _members(confidence).astype(bool)
    return [
        {
            "from": EDGES[index], "to": EDGES[index + 1], "pairs": int(kept.sum()),
            "confidence": float(confidence[kept].mean()) if kept.any() else None,
            "right": share(right[kept], row[kept], over=over, unit="share right").json(),
        }
        for index, kept in enumerate(members.T)
    ]  # fmt: skip
