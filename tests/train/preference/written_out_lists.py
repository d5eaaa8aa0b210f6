"""The losses of ranked lists once more, one number at a time; `written_out.py` says how."""

import math
from dataclasses import dataclass

from tests.train.preference.written_out import Loss, mean, softplus


@dataclass
class Lists:
    """Log-probability, token count and relevance of each answer of each list; lists may differ in length."""

    logprob: list[list[float]]
    tokens: list[list[int]]
    relevance: list[list[float]]


def per_token(lists: Lists, k: int) -> list[float]:
    return [s / max(n, 1) for s, n in zip(lists.logprob[k], lists.tokens[k], strict=True)]


def best(lists: Lists, k: int) -> int:
    return lists.relevance[k].index(max(lists.relevance[k]))


def rrhf(rank: float, *, by_token: bool) -> Loss:
    def loss(policy, reference, held):
        del reference, held
        out = []
        for k, relevance in enumerate(policy.relevance):
            mu = per_token(policy, k)
            hinge = sum(
                max(0.0, mu[j] - mu[i]) for i, r in enumerate(relevance) for j, s in enumerate(relevance) if r > s
            )
            top = best(policy, k)
            out.append(rank * hinge - (mu[top] if by_token else policy.logprob[k][top]))
        return out

    return loss


def pro(nll: float, *, temperatures: bool) -> Loss:
    def loss(policy, reference, held):
        del reference, held
        return [_pro(policy, k, nll, temperatures) for k in range(len(policy.logprob))]

    return loss


def _pro(policy: Lists, k: int, nll: float, temperatures: bool) -> float:
    relevance, mu = policy.relevance[k], per_token(policy, k)
    order = sorted(range(len(mu)), key=lambda i: -relevance[i])
    total = 0.0
    for place, i in enumerate(order[:-1]):
        rest = order[place + 1 :]
        sharp = {j: relevance[i] - relevance[j] if temperatures else 1.0 for j in rest}
        sharp[i] = max(sharp.values())  # 1/T, and the smallest T is the sharpest
        total += math.log(sum(math.exp(sharp[j] * mu[j]) for j in sharp)) - sharp[i] * mu[i]
    return total - nll * (len(mu) - 1) ** 2 * policy.logprob[k][best(policy, k)]


def scores(beta: float, policy: Lists, reference: Lists, k: int) -> list[float]:
    return [beta * (p - r) for p, r in zip(policy.logprob[k], reference.logprob[k], strict=True)]


def lipo(beta: float) -> Loss:
    def loss(policy, reference, held):
        out = []
        for k, relevance in enumerate(policy.relevance):
            s, now = scores(beta, policy, reference, k), scores(beta, held, reference, k)
            order = sorted(range(len(s)), key=lambda i: -now[i])
            discount = {i: math.log(1 + place + 1) for place, i in enumerate(order)}
            total = 0.0
            for i, r in enumerate(relevance):
                for j, q in enumerate(relevance):
                    if r > q:
                        swap = abs(2**r - 2**q) * abs(1 / discount[i] - 1 / discount[j])
                        total += swap * softplus(-(s[i] - s[j]))
            out.append(total)
        return out

    return loss


def info_nca(beta: float, alpha: float) -> Loss:
    def loss(policy, reference, held):
        del held
        out = []
        for k, relevance in enumerate(policy.relevance):
            s, target = scores(beta, policy, reference, k), [math.exp(r / alpha) for r in relevance]
            among = math.log(sum(math.exp(x) for x in s))
            out.append(-sum(t / sum(target) * (x - among) for t, x in zip(target, s, strict=True)))
        return out

    return loss


def nca_list(beta: float, alpha: float) -> Loss:
    def loss(policy, reference, held):
        del held
        out = []
        for k, relevance in enumerate(policy.relevance):
            s, target = scores(beta, policy, reference, k), [math.exp(r / alpha) for r in relevance]
            pull = sum(t / sum(target) * softplus(-x) for t, x in zip(target, s, strict=True))
            out.append(pull + mean([softplus(x) for x in s]))
        return out

    return loss
