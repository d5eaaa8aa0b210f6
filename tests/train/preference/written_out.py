"""The losses of labels, tokens and whole batches once more, one number at a time, from the papers' formulas.

Plain Python floats, no shared code. `held` is what carries no gradient: the policy itself where the value is wanted,
the policy before a small change where its slope is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Pairs:
    """Log-probabilities of every token of both answers of each pair, and what stands beside them."""

    w: list[list[float]]
    l: list[list[float]]  # noqa: E741
    collision_w: list[list[float]] = field(default_factory=list)
    collision_l: list[list[float]] = field(default_factory=list)
    divergence_w: list[float] = field(default_factory=list)
    divergence_l: list[float] = field(default_factory=list)
    mismatched: list[float] = field(default_factory=list)


Loss = Callable[[Any, Any, Any], list[float]]


def softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def ratios(policy: Pairs, reference: Pairs) -> list[tuple[float, float]]:
    return [
        (sum(policy.w[i]) - sum(reference.w[i]), sum(policy.l[i]) - sum(reference.l[i])) for i in range(len(policy.w))
    ]


def kto(beta: float, up: float, down: float) -> Loss:
    def loss(policy, reference, held):
        z = max(0.0, mean([p - r for p, r in zip(held.mismatched, reference.mismatched, strict=True)]))
        return [
            (up * (1 - sigmoid(beta * (a - z))) + down * (1 - sigmoid(beta * (z - b)))) / 2
            for a, b in ratios(policy, reference)
        ]

    return loss


def kto_pair(beta: float) -> Loss:
    def loss(policy, reference, held):
        del held
        both = ratios(policy, reference)
        z_w, z_l = (max(0.0, mean([pair[side] for pair in both])) for side in (0, 1))
        return [((1 - sigmoid(beta * (a - z_l))) + (1 - sigmoid(beta * (z_w - b)))) / 2 for a, b in both]

    return loss


def bco(beta: float, before: tuple[float, int, float, int]) -> Loss:
    """`before`: mean and count of the wanted rewards so far, then of the unwanted."""

    def loss(policy, reference, held):
        rewards = [(beta * a, beta * b) for a, b in ratios(held, reference)]
        n = len(rewards)
        wanted = (before[0] * before[1] + sum(r for r, _ in rewards)) / (before[1] + n)
        unwanted = (before[2] * before[3] + sum(r for _, r in rewards)) / (before[3] + n)
        delta = (wanted + unwanted) / 2
        return [softplus(-(beta * a - delta)) + softplus(beta * b - delta) for a, b in ratios(policy, reference)]

    return loss


def bco_pair(beta: float) -> Loss:
    return lambda policy, reference, held: [
        softplus(-beta * a) + softplus(beta * b) for a, b in ratios(policy, reference)
    ]


def places(values: Sequence[float]) -> list[int]:
    """Where each stands when they are sorted; of equal ones the earlier first."""
    return [sorted(range(len(values)), key=values.__getitem__).index(i) for i in range(len(values))]


def aot(beta: float) -> Loss:
    def loss(policy, reference, held):
        del held
        ours = [sum(w) - sum(rejected) for w, rejected in zip(policy.w, policy.l, strict=True)]
        theirs = sorted(sum(w) - sum(rejected) for w, rejected in zip(reference.w, reference.l, strict=True))
        return [softplus(-beta * (m - theirs[place])) for m, place in zip(ours, places(ours), strict=True)]

    return loss


def aot_unpaired(beta: float) -> Loss:
    def loss(policy, reference, held):
        del held
        a, b = zip(*ratios(policy, reference), strict=True)
        return [softplus(-beta * (x - sorted(b)[place])) for x, place in zip(a, places(a), strict=True)]

    return loss


def wpo(beta: float, most: float) -> Loss:
    def loss(policy, reference, held):
        out = []
        for i, (a, b) in enumerate(ratios(policy, reference)):
            omega = mean([p - c for p, c in zip(held.w[i], held.collision_w[i], strict=True)])
            omega += mean([p - c for p, c in zip(held.l[i], held.collision_l[i], strict=True)])
            out.append(min(most, math.exp(omega)) * softplus(-beta * (a - b)))
        return out

    return loss


def tdpo(beta: float, alpha: float, *, hold: bool) -> Loss:
    def loss(policy, reference, held):
        ahead = held.divergence_w if hold else policy.divergence_w
        return [
            softplus(-beta * (a - b - alpha * (policy.divergence_l[i] - ahead[i])))
            for i, (a, b) in enumerate(ratios(policy, reference))
        ]

    return loss


def ld_dpo(beta: float, alpha: float, *, reference_too: bool) -> Loss:
    def cut(side: list[float], to: int, weight: float) -> float:
        return sum(side[:to]) + weight * sum(side[to:])

    def loss(policy, reference, held):
        del held
        out = []
        for i in range(len(policy.w)):
            shorter = min(len(policy.w[i]), len(policy.l[i]))
            keep = alpha if reference_too else 1.0
            a = cut(policy.w[i], shorter, alpha) - cut(reference.w[i], shorter, keep)
            b = cut(policy.l[i], shorter, alpha) - cut(reference.l[i], shorter, keep)
            out.append(softplus(-beta * (a - b)))
        return out

    return loss


def unlikelihood() -> Loss:
    return lambda policy, reference, held: [-sum(math.log(1 - math.exp(t)) for t in side) for side in policy.l]


def d2o(beta: float, alpha: float) -> Loss:
    return lambda policy, reference, held: [softplus(-(beta * a - alpha * b)) for a, b in ratios(policy, reference)]
