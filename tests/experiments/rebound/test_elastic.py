"""Stiffness and interference of a planted spring, and of things that are none."""

from dataclasses import replace

import pytest
from tests.experiments.rebound.planted import Spring, swept

from springback.experiments.audit.config import Audit
from springback.experiments.rebound import elastic, returned
from springback.stats.measured import Measured

ONE = Audit(align_sizes=(256,), reverse_sizes=(8, 16, 32, 64), pairs=72, samples=48, neutral=24, arms="all",
            layers="none", forced_tokens=(0,))  # fmt: skip
DRAWS = 40


@pytest.fixture(scope="module")
def readings():
    """Every reading of forty draws of one law."""
    found = {name: [] for name in ("R", "S_a", "S_p", "c2", "c3", "kl", "half_life", "signs", "closest")}
    for draw in range(DRAWS):
        one = swept(audit=ONE, draw=draw)
        stiff = elastic.stiff(one)
        (_, sign), back = next(elastic.interfering(one, stiff)), returned.returned(one, 0.06)
        for name in ("R", "S_a", "S_p"):
            found[name].append(Measured.of(stiff[name]))
        for name in ("c2", "c3"):
            found[name].append(Measured.of(sign[name]["c"]))
        found["kl"].append(Measured.of(back["kl"]))
        found["half_life"].append(returned.price(one))
        found["signs"].append((sign["predicted"], sign["happened"], sign["agrees"]))
        found["closest"].append((back["examples"], back["reached"]))
    return found


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("R", 4.0),
        ("S_a", 4e-4),
        ("S_p", -1e-4),
        ("c2", 0.6),
        ("c3", 2.0),
        ("kl", 0.05),
        ("half_life", Spring().half_life),
    ],
)
def test_the_truth_lies_in_the_interval_about_as_often_as_it_states(readings, name, truth):
    held = [one.low is not None and one.low <= truth <= (one.high or float("inf")) for one in readings[name]]
    assert sum(held) >= 0.85 * DRAWS
    centre = sum(one.estimate for one in readings[name]) / DRAWS
    assert centre == pytest.approx(truth, rel=0.1)


def test_what_c2_predicts_happens_in_the_law_that_it_was_made_for(readings):
    assert set(readings["signs"]) == {("hurts", "hurts", True)}


def test_the_closest_return_is_at_the_planted_size_in_every_draw(readings):
    assert {examples for examples, _ in readings["closest"]} == {32}
    assert sum(reached is True for _, reached in readings["closest"]) >= 0.85 * DRAWS


def test_a_reversal_that_helps_is_told_from_one_that_hurts():
    one = swept(audit=ONE, s_a=-4e-4, c2=1.7)
    _, sign = next(elastic.interfering(one, elastic.stiff(one)))
    assert (sign["predicted"], sign["happened"], sign["agrees"]) == ("helps", "helps", True)
    assert sign["l_star"] is None
    one = swept(audit=ONE, s_a=-4e-4)
    assert next(elastic.interfering(one, elastic.stiff(one)))[1]["agrees"] is False


def test_where_nothing_moves_there_is_no_ratio_and_no_sign():
    one = swept(audit=ONE, s_a=0.0, s_p=0.0, c2=1.0, draw=3)
    body = elastic.stiff(one)
    assert body["R"]["estimate"] is None
    assert "holds 0" in body["R"]["why"]
    _, sign = next(elastic.interfering(one, body))
    assert (sign["predicted"], sign["happened"], sign["agrees"]) == ("undecided", "undecided", None)


def test_the_point_where_the_signs_turn_is_the_formulas():
    _, sign = next(elastic.interfering(one := swept(audit=ONE), elastic.stiff(one)))
    c2, c3 = (sign[name]["c"]["estimate"] for name in ("c2", "c3"))
    assert sign["l_star"] == pytest.approx((1 - c2) / (c3 - 1))
    assert sign["l_star"] == pytest.approx(0.4, rel=0.3)


def test_with_one_reversal_size_a_slope_is_not_reportable_and_says_what_it_needs():
    body = elastic.stiff(swept(audit=replace(ONE, reverse_sizes=(16,)), back={16: 0.6}))
    assert {name: body[name]["estimate"] for name in ("R", "S_a", "S_p")} == {"R": None, "S_a": None, "S_p": None}
    assert "read at n = 0, 16" in body["R"]["why"]


@pytest.mark.parametrize("few", [{"neutral": 1}, {"neutral": 0}, {"pairs": 1}])
def test_with_fewer_than_two_texts_nothing_is_computed_and_nothing_breaks(few):
    one = swept(audit=replace(ONE, **few))
    body = elastic.stiff(one)
    assert body["R"]["why"].startswith("fewer than two")
    for _, sign in elastic.interfering(one, body):
        assert sign["agrees"] is None
    assert (returned.price(one).estimate is None) == ("pairs" in few)


def test_the_core_arms_predict_nothing_for_the_start_was_not_reversed():
    one = swept(audit=replace(ONE, arms="core"))
    (key, sign), *more = elastic.interfering(one, elastic.stiff(one))
    assert (key, sign["predicted"], more) == ("none", "not_reportable", [])
    assert "--arms all" in sign["c2"]["c"]["why"]


def test_three_seeds_give_intervals_over_seeds_and_a_prediction_for_each():
    one = swept(audit=replace(ONE, seeds=(0, 1, 2), arms="needed"), seed_noise=0.001)
    body = elastic.stiff(one)
    assert (body["S_a"]["n"], body["S_a"]["over"]) == (3, "seeds")
    assert [key for key, _ in elastic.interfering(one, body)] == ["0", "1", "2"]


def test_k_is_pretraining_over_alignment_tokens_or_says_that_nobody_counted():
    assert elastic.stiff(swept(audit=ONE, tokens=256 * 20 * 1e6))["k"]["estimate"] == pytest.approx(1e6)
    assert "--pretraining-tokens" in elastic.stiff(swept(audit=ONE))["k"]["why"]
