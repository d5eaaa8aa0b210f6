"""Sweeps against each other: planted defences, planted power laws, and pairs that cannot be compared."""

from dataclasses import replace

import pytest
from tests.experiments.rebound.planted import BACK, Planted, Spring, swept

from springback.experiments.audit.config import Audit
from springback.experiments.rebound import across
from springback.experiments.rebound.config import Axes, sweeps
from springback.stats.measured import Measured

ONE = Audit(align_sizes=(256,), reverse_sizes=(8, 16, 32, 64), pairs=72, samples=12, neutral=4, arms="core",
            layers="none", forced_tokens=(0,))  # fmt: skip
TWICE = {2 * n: share for n, share in BACK.items()}
"""Every share undone after twice as many examples."""


def every(axes: Axes, models=("m",), **laws):
    """A planted sweep for each combination, with the law of its first matching word."""
    found = []
    for place, sweep in enumerate(sweeps(models, axes, ONE)):
        law = next((law for word, law in laws.items() if word in str(sweep.varied)), {})
        planted = Planted(Spring(audit=ONE, noise=0.005, draw=place, **law))
        found.append(replace(planted.swept(sweep.name), sweep=sweep))
    return found


def interpolated(back):
    return {n: (back.get(n) if n in back else back[16] / 2 if n == 8 else 0.0) for n in ONE.reverse_sizes}


def test_a_defence_that_doubles_the_price_is_found_and_its_twin_is_the_first_value():
    slow = {"back": interpolated(TWICE)}
    (key, body), *more = across.comparisons(every(Axes(methods=("plain", "replay")), replay=slow))
    assert more == []
    assert (key, body["value"], body["against"]) == ("reverse_with/01-method-replay", "replay", "plain")
    ratio = Measured.of(body["cost_to_undo"])
    assert ratio.low <= 2 <= ratio.high
    assert ratio.estimate == pytest.approx(2, rel=0.15)
    assert Measured.of(body["undone"]).estimate < Measured.of(body["against_undone"]).estimate
    assert body["n"] == 64


def test_a_defence_that_does_nothing_has_a_ratio_whose_interval_holds_one():
    found = [body for _, body in across.comparisons(every(Axes(methods=("plain", "replay", "kl_anchor"))))]
    assert len(found) == 2
    for body in found:
        ratio = Measured.of(body["cost_to_undo"])
        assert ratio.low < 1 < ratio.high


def test_every_sweep_meets_the_one_that_differs_on_one_axis_only():
    found = dict(across.comparisons(every(Axes(methods=("plain", "replay"), align_mixes=(0, 50)))))
    pairs = {(body["axis"], body["sweep"][:2], body["against_sweep"][:2]) for body in found.values()}
    assert pairs == {("reverse_with", "01", "00"), ("reverse_with", "03", "02"),
                     ("align_mix", "02", "00"), ("align_mix", "03", "01")}  # fmt: skip


def test_one_sweep_is_compared_with_nothing():
    assert list(across.comparisons(every(Axes()))) == []
    assert list(across.scales(every(Axes()), {"m": 7})) == []


def test_sweeps_that_lost_nothing_have_no_ratio_and_say_why():
    (_, body), *_ = across.comparisons(every(Axes(methods=("plain", "replay")), plain={"gain": 0.0}))
    assert "nothing to lose" in body["cost_to_undo"]["why"]


def test_sweeps_read_at_other_sizes_are_not_divided():
    one, other = every(Axes(methods=("plain", "replay")))
    cells = {key: cell for key, cell in other.read("cell").items() if not key.endswith("/64")}
    cut = replace(other, read=lambda kind: cells if kind == "cell" else other.read(kind))
    (_, body), *_ = across.comparisons([one, cut])
    assert body["cost_to_undo"]["why"].startswith("the two sweeps were not read at the same sizes")
    assert body["n"] == 32


def test_a_sweep_that_must_not_be_quoted_marks_its_comparison():
    one, other = every(Axes(methods=("plain", "replay")))
    (_, body), *_ = across.comparisons([one, replace(other, reportable=(False, "AUC 0.5"))])
    assert (body["reportable"], body["why"]) == (False, "AUC 0.5")


SIZES = {"a": 10**8, "b": 4 * 10**8, "c": 16 * 10**8}
HALVES = {"a": 0.4, "b": 0.8, "c": 1.6}
"""Share undone after 16 examples, in a straight line: half-lives 20, 10, 5, so b = log(1/2)/log(4) = −1/2."""


def law_of(share):
    return {"back": {n: share * n / 16 for n in ONE.reverse_sizes}}


def test_a_power_law_of_the_price_over_sizes_and_over_pretraining_is_found():
    axes = Axes(pretraining_tokens=(1e9, 2e9, 4e9))
    models = every(axes, tuple(SIZES), **{f"'{name}'": law_of(share) for name, share in HALVES.items()})
    found = dict(across.scales(models, SIZES))
    assert set(found) == {"parameters", "pretraining_tokens"}
    exponents = [Measured.of(found[axis]["b"]) for axis in ("parameters", "pretraining_tokens")]
    for exponent, truth in zip(exponents, (-0.5, -1.0), strict=True):
        assert exponent.low <= truth <= exponent.high
        assert exponent.estimate == pytest.approx(truth, abs=0.1)
    assert found["parameters"]["sweeps"] == [one.sweep.name for one in models]


def test_only_sweeps_with_the_first_value_of_every_other_axis_are_fitted():
    models = every(Axes(align_mixes=(0, 50)), tuple(SIZES))
    ((_, body),) = across.scales(models, SIZES)
    assert body["sweeps"] == [one.sweep.name for one in models if one.sweep.audit.align_mix == 0]


def test_two_models_lie_on_every_power_law_and_are_not_fitted():
    ((_, body),) = across.scales(every(Axes(), ("a", "b")), SIZES)
    assert body["b"]["estimate"] is None
    assert "at least 3" in body["b"]["why"]


def test_models_of_one_size_or_of_unknown_size_are_no_axis():
    assert list(across.scales(every(Axes(), ("a", "b", "c")), dict.fromkeys("abc", 7))) == []
    ((_, body),) = across.scales(every(Axes(), ("a", "b", "c", "d")), SIZES)
    assert len(body["sweeps"]) == 3


def test_a_model_without_a_gain_or_a_price_leaves_no_law():
    for law in ({"gain": 0.0}, {"back": {8: 0.0, 16: 0.0, 32: 0.1, 64: 0.2}}):
        ((_, body),) = across.scales(every(Axes(), tuple(SIZES), **{"'b'": law}), SIZES)
        assert body["b"]["estimate"] is None
        assert "not half undone" in body["b"]["why"]


def test_the_planted_law_is_what_the_sweep_alone_says_too():
    assert swept(audit=ONE, **law_of(0.8)).sizes("main", 256) == (0, 8, 16, 32, 64)
    assert Spring(**law_of(0.8)).half_life == 10
