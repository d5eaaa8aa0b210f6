"""Stiffness: how much faster the wanted text's rate moves under a first reversal than the pretraining text's.

Ji et al. 2024, *Language Models Resist Alignment* (arXiv 2406.06144), theorem 4.2: with S_i = dγ_i/dn at n → 0, γ in
code bits / text bits and n in reversed examples, S_a = Θ(−k · S_p), k = |D_p| / |D_a|. R = −S_a / S_p stands beside k.

    S = Σ_j c_j γ(n_j)       c_j = w_j (n_j − n̄) / Σ w (n − n̄)²       n̄ = Σ w n / Σ w       w_j = (1 − (n_j / h)³)³

A weighted local line through n = 0 and the first sizes; h, the bandwidth, is the next size (or twice the last one).

1. γ is the ratio of sums over documents (`code_length`, micro), so S is one too: each document has a slope of its own.
2. Variance: that of documents (first order of the ratio) and, from three seeds on, that between seeds added to it.
   Student's t on the smaller count less one. Below three seeds nothing is said of seeds.
3. The interval of R is Fieller's (1954): all ρ for which S_a + ρ·S_p may be 0. It is bounded exactly where the interval
   of S_p is clear of 0. Elsewhere R is not reported: a resampled ratio would have ends there, and they mean nothing.

Not guaranteed: that γ is straight between 0 and h. Compare with fewer sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from springback.papers import ELASTICITY
from springback.stats.bootstrap import student_quantile
from springback.stats.measured import Measured, unmeasured

PAPER = ELASTICITY
UNIT = "bit/bit per example"
SEEDS = 3
"""Fewest seeds whose spread is taken into the interval."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """The local line that gives a slope at n = 0."""

    sizes: tuple[float, ...]
    """Sizes used, 0 first: reversed examples."""
    weights: tuple[float, ...]
    """Of each size, in (0, 1]; 1 at n = 0."""
    coefficients: tuple[float, ...]
    """What γ at each size is multiplied by; they sum to 0."""
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Code lengths of one set of documents along a reversal."""

    bits: Array
    """[seed, size, document]: code bits, the first size being 0."""
    text_bits: Array
    """[document]: 8 · UTF-8 bytes, above 0."""

    def __post_init__(self) -> None:
        if self.bits.ndim != 3 or self.bits.shape[2:] != self.text_bits.shape or self.bits.shape[2] < 2:
            raise ValueError(f"[seed, size, document] and [document ≥ 2]: {self.bits.shape}, {self.text_bits.shape}")
        if not np.isfinite(self.bits).all() or not (self.text_bits > 0).all():
            raise ValueError("Code lengths are finite and texts have bytes.")


@dataclass(frozen=True, slots=True)
class Stiffness:
    """R with what it is made of."""

    R: Measured
    """−S_a / S_p; the theorem predicts the order of k. No unit."""
    S_a: Measured
    """Of the wanted answers, bit/bit per example; above 0 where the reversal makes them dearer."""
    S_p: Measured
    """Of the pretraining text, in the same unit."""
    k: float
    """Pretraining tokens / alignment tokens, as the caller counts them."""
    line: Line

    def json(self) -> dict[str, Any]:
        """As a result carries it."""
        return {
            "R": self.R.json(), "S_a": self.S_a.json(), "S_p": self.S_p.json(), "k": self.k,
            "sizes": list(self.line.sizes), "weights": list(self.line.weights), "bandwidth": self.line.bandwidth,
        }  # fmt: skip


def line(sizes: Sequence[int], *, points: int = 2) -> Line:
    """The line through 0 and the first `points` sizes. ValueError below two of them, or where sizes do not increase."""
    if points < 2 or len(sizes) < points + 1:
        raise ValueError(f"A local slope needs n = 0 and at least two sizes; {points} of {list(sizes)} were asked for.")
    n = np.asarray(sizes, dtype=np.float64)
    if n[0] != 0 or (np.diff(n) <= 0).any():
        raise ValueError(f"Sizes begin at 0 and increase, got {list(sizes)}.")
    bandwidth = float(n[points + 1]) if len(sizes) > points + 1 else 2 * float(n[points])
    n = n[: points + 1]
    weights = (1 - (n / bandwidth) ** 3) ** 3
    away = n - (weights * n).sum() / weights.sum()
    coefficients = weights * away / (weights * away**2).sum()
    return Line(tuple(n.tolist()), tuple(weights.tolist()), tuple(coefficients.tolist()), bandwidth)


def sensitivity(rates: Rates, along: Line, *, level: float = 0.95) -> Measured:
    """S = dγ/dn at n → 0, in bit/bit per example; above 0 where the text becomes dearer."""
    found = _slope(rates, along)
    variance = _variance(found, found)
    reach = _quantile(found, found, level) * math.sqrt(variance)
    n, over = _counted(found)
    return Measured(found.estimate, found.estimate - reach, found.estimate + reach, level, n, over, UNIT)


def stiffness(wanted: Rates, pretraining: Rates, along: Line, *, k: float, level: float = 0.95) -> Stiffness:
    """R = −S_a / S_p. Seeds are paired; the documents of the two sets are different ones."""
    if wanted.bits.shape[:2] != pretraining.bits.shape[:2]:
        raise ValueError(f"The same seeds and sizes: {wanted.bits.shape[:2]} and {pretraining.bits.shape[:2]}.")
    s_a, s_p = (sensitivity(rates, along, level=level) for rates in (wanted, pretraining))
    return Stiffness(_ratio(_slope(wanted, along), _slope(pretraining, along), s_p, level), s_a, s_p, k, along)


@dataclass(frozen=True, slots=True)
class _Slope:
    estimate: float
    by_seed: Array
    of_documents: float
    """Variance of the estimate over documents."""
    documents: int


def _slope(rates: Rates, along: Line) -> _Slope:
    used = rates.bits[:, : len(along.sizes)]
    if used.shape[1] != len(along.sizes):
        raise ValueError(f"The line has {len(along.sizes)} sizes, the readings {rates.bits.shape[1]}.")
    own = np.einsum("j,sjd->sd", np.asarray(along.coefficients), used)
    by_seed = own.sum(1) / rates.text_bits.sum()
    estimate = float(by_seed.mean())
    pulls = (own.mean(0) - estimate * rates.text_bits) / rates.text_bits.mean()
    n = pulls.size
    return _Slope(estimate, by_seed, float((pulls**2).sum() / (n * (n - 1))), n)


def _variance(one: _Slope, other: _Slope) -> float:
    """Covariance of two slopes: documents where they are the same ones, and seeds where there are enough."""
    of_documents = one.of_documents if one is other else 0.0
    seeds = one.by_seed.size
    if seeds < SEEDS:
        return of_documents
    apart = (one.by_seed - one.by_seed.mean()) * (other.by_seed - other.by_seed.mean())
    return of_documents + float(apart.sum()) / (seeds * (seeds - 1))


def _ratio(s_a: _Slope, s_p: _Slope, measured: Measured, level: float) -> Measured:
    if not measured.excludes(0.0):
        return unmeasured(f"the interval of S_p holds 0 ([{measured.low:+.2g}, {measured.high:+.2g}]): R is unbounded")
    t = _quantile(s_a, s_p, level)
    top, bottom = s_a.estimate, s_p.estimate
    a = bottom**2 - t**2 * _variance(s_p, s_p)
    b = top * bottom - t**2 * _variance(s_a, s_p)
    c = top**2 - t**2 * _variance(s_a, s_a)
    if a <= 0:  # fewer documents on the other side ask for a wider t
        return unmeasured("S_p is too near 0 for the documents and seeds at hand: R is unbounded")
    reach = math.sqrt(max(0.0, b * b - a * c)) / a
    n, over = _counted(min(s_a, s_p, key=lambda slope: slope.documents))
    estimate = -top / bottom
    return Measured(estimate, min(estimate, -b / a - reach), max(estimate, -b / a + reach), level, n, over, "")


def _counted(slope: _Slope) -> tuple[int, str]:
    seeds = slope.by_seed.size
    return (seeds, "seeds") if seeds >= SEEDS else (slope.documents, "documents")


def _quantile(one: _Slope, other: _Slope, level: float) -> float:
    fewest = min(_counted(one)[0], _counted(other)[0], one.documents, other.documents)
    return student_quantile(0.5 + level / 2, fewest - 1)
