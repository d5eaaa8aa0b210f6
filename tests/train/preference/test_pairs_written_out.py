"""Losses of pairs once more in plain floats, from the papers' formulas, at drawn numbers; slopes by differences."""

import math
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.family import Numbers, losses, weights

from springback.train.preference.family import LOSSES

STEP = 1e-5


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def odds(mean: float) -> float:
    p = math.exp(mean)
    return math.log(p / (1 - p))


def exo(margin: float, eps: float) -> float:
    p = sigmoid(margin)
    return p * math.log(p / (1 - eps)) + (1 - p) * math.log((1 - p) / eps)


def discopop(x: float, tau: float) -> float:
    m = sigmoid(x / tau)
    return (1 - m) * softplus(-x) + m * math.exp(-x)


def power(mean: float, alpha: float) -> float:
    return (1 - math.exp(mean) ** -alpha) / alpha


Written = Callable[..., float]
# w, r: log π of both answers; v, s: of the reference; m, n: their tokens; then the options by name
WRITTEN: dict[str, Written] = {
    "dpo": lambda w, r, v, s, m, n, beta: softplus(-beta * (w - r - v + s)),
    "cdpo": lambda w, r, v, s, m, n, beta, label_smoothing: (
        (1 - label_smoothing) * softplus(-beta * (w - r - v + s)) + label_smoothing * softplus(beta * (w - r - v + s))
    ),
    "robust_dpo": lambda w, r, v, s, m, n, beta, label_smoothing: (
        ((1 - label_smoothing) * softplus(-beta * (w - r - v + s)) - label_smoothing * softplus(beta * (w - r - v + s)))
        / (1 - 2 * label_smoothing)
    ),
    "ipo": lambda w, r, v, s, m, n, tau: (w - r - v + s - 0.5 / tau) ** 2,
    "ipo_mean": lambda w, r, v, s, m, n, tau: ((w - v) / m - (r - s) / n - 0.5 / tau) ** 2,
    "hinge": lambda w, r, v, s, m, n, beta: max(0.0, 1 - beta * (w - v - r + s)),
    "slic_hf": lambda w, r, v, s, m, n, delta, nll: max(0.0, delta - w + r) - nll * w,
    "r_dpo": lambda w, r, v, s, m, n, beta, alpha: softplus(-(beta * (w - r - v + s) + alpha * (m - n))),
    "r_dpo_minus": lambda w, r, v, s, m, n, beta, alpha: softplus(-(beta * (w - r - v + s) - alpha * (m - n))),
    "dpop": lambda w, r, v, s, m, n, beta, penalty: softplus(-beta * (w - r - v + s - penalty * max(0.0, v - w))),
    "dpop_outside": lambda w, r, v, s, m, n, beta, penalty: (
        softplus(-beta * (w - r - v + s)) + penalty * max(0.0, v - w)
    ),
    "rpo": lambda w, r, v, s, m, n, beta, nll: softplus(-beta * (w - r - v + s)) - nll * w / m,
    "simpo": lambda w, r, v, s, m, n, beta, gamma: softplus(gamma - beta * (w / m - r / n)),
    "simpo_ratio": lambda w, r, v, s, m, n, beta, gamma_beta_ratio: softplus(
        -beta * (w / m - r / n - gamma_beta_ratio)
    ),
    "cpo": lambda w, r, v, s, m, n, beta, nll: softplus(-beta * (w - r)) - nll * w / m,
    "alpha_po": lambda w, r, v, s, m, n, alpha, beta, gamma: softplus(
        gamma - beta * (power(w / m, alpha) - power(r / n, alpha))
    ),
    "orpo": lambda w, r, v, s, m, n, beta: -w / m + beta * softplus(odds(r / n) - odds(w / m)),
    "orpo_with_prompt": lambda w, r, v, s, m, n, beta: (
        -(w - 20) / (m + 11)  # the prompt of `family.seen`
        + beta * softplus(odds(r / n) - odds(w / m))
    ),
    "sppo": lambda w, r, v, s, m, n, beta: (w - v - 0.5 / beta) ** 2 + (r - s + 0.5 / beta) ** 2,
    "sppo_half": lambda w, r, v, s, m, n, beta: ((w - v - 0.5 / beta) ** 2 + (r - s + 0.5 / beta) ** 2) / 2,
    "exo": lambda w, r, v, s, m, n, beta, label_smoothing: exo(beta * (w - r - v + s), label_smoothing),
    "nca": lambda w, r, v, s, m, n, beta: (
        softplus(-beta * (w - v)) + softplus(beta * (w - v)) / 2 + softplus(beta * (r - s)) / 2
    ),
    "apo_zero": lambda w, r, v, s, m, n, beta: 1 - sigmoid(beta * (w - v)) + sigmoid(beta * (r - s)),
    "apo_down": lambda w, r, v, s, m, n, beta: sigmoid(beta * (w - v)) + 1 - sigmoid(beta * (w - v - r + s)),
    "discopop": lambda w, r, v, s, m, n, beta, tau: discopop(beta * (w - r - v + s), tau),
    "cal_dpo": lambda w, r, v, s, m, n, beta, weight: (
        softplus(-(w - r - v + s)) + weight * ((w - v - 0.5 / beta) ** 2 + (r - s + 0.5 / beta) ** 2)
    ),
    "f_dpo_forward_kl": lambda w, r, v, s, m, n, beta: softplus(-beta * (math.exp(s - r) - math.exp(v - w))),
    "f_dpo_js": lambda w, r, v, s, m, n, beta: softplus(beta * (softplus(v - w) - softplus(s - r))),
    "f_dpo_alpha": lambda w, r, v, s, m, n, beta, alpha: softplus(
        -beta * (math.exp(alpha * (s - r)) - math.exp(alpha * (v - w))) / alpha
    ),
    "sigmoid_norm": lambda w, r, v, s, m, n, beta: softplus(-beta * ((w - v) / m - (r - s) / n)),
    "dpo_shift": lambda w, r, v, s, m, n, beta, shift: softplus(-beta * (w - v - shift * (r - s))),
    "npo": lambda w, r, v, s, m, n, beta: 2 / beta * softplus(beta * (r - s)),
    "rejected_only_dpo": lambda w, r, v, s, m, n, beta: softplus(beta * (r - s)),
}
OPTIONS = {
    "beta": st.floats(-4, 1).map(math.exp),
    "tau": st.floats(0.05, 1.0),
    "label_smoothing": st.floats(1e-4, 0.45),
    "alpha": st.floats(0.05, 0.95),
    "gamma": st.floats(0, 2),
    "gamma_beta_ratio": st.floats(0, 1),
    "penalty": st.floats(0, 60),
    "nll": st.floats(0, 2),
    "delta": st.floats(0, 5),
    "weight": st.floats(0, 1),
    "shift": st.floats(0.5, 1),
}
logprob, ratio, tokens = st.floats(-40, -0.5), st.floats(-4, 4), st.integers(1, 60)


@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=8)
@given(data=st.data())
def test_value_and_weights_are_those_of_the_formula(name, data):
    member = LOSSES[name]
    options = {key: data.draw(OPTIONS[key], label=key) for key in (field.name for field in fields(member))}
    w, r, a, b = (data.draw(of) for of in (logprob, logprob, ratio, ratio))
    point = [w, r, w - a, r - b, *map(float, (data.draw(tokens), data.draw(tokens)))]

    def written(dw: float = 0.0, dl: float = 0.0) -> float:
        return WRITTEN[name](point[0] + dw, point[1] + dl, *point[2:], **options)

    pair, method = Numbers(*(torch.tensor([x], dtype=torch.float64) for x in point)), member(**options)
    value, (d_w, d_l) = losses(name, pair, method).item(), weights(name, pair, method)
    assert value == pytest.approx(written(), rel=1e-9, abs=1e-9)
    near = {"rel": 2e-5, "abs": 1e-6 + 1e-9 * abs(value)}
    if not kinked(name, point, options):
        assert d_w.item() == pytest.approx(-(written(dw=STEP) - written(dw=-STEP)) / (2 * STEP), **near)
        assert d_l.item() == pytest.approx((written(dl=STEP) - written(dl=-STEP)) / (2 * STEP), **near)


def kinked(name: str, point: list[float], options: dict[str, float]) -> bool:
    """Whether a hinge lies within the step."""
    w, r, v, s, *_ = point
    hinges = {
        "hinge": 1 - options.get("beta", 0) * (w - v - r + s),
        "slic_hf": options.get("delta", 0) - w + r,
        "dpop": v - w,
        "dpop_outside": v - w,
    }
    return abs(hinges.get(name, 1.0)) < 10 * STEP


def test_every_loss_of_a_pair_alone_is_written_out_here_or_known_elsewhere():
    elsewhere = {"tr_dpo", "dpo_shift_linear", "alpha_dpo", "beta_dpo"}  # DPO, DPO-Shift, SimPO by other options
    others = {name for name, member in LOSSES.items() if member.__module__.rpartition(".")[2] in OTHERS}
    assert set(LOSSES) == set(WRITTEN) | elsewhere | others


OTHERS = {
    "kto",
    "bco",
    "aot",
    "rrhf",
    "pro",
    "lipo",
    "info_nca",
    "wpo",
    "tdpo",
    "sampo",
    "ld_dpo",
    "unlikelihood",
    "d2o",
}
"""Written out in `written_out.py`."""
