"""Figures of held-out scores, against arithmetic that can be seen and against draws of known law."""

import math

import numpy as np
import pytest

from springback.experiments.reward.calibration import temperature
from springback.experiments.reward.heldout import held_out, share, wilson
from springback.experiments.reward.measures import brief, measures


def row(scores, relevance=(1, 0), tokens=(5, 5)):
    return {"scores": list(scores), "relevance": list(relevance), "tokens": list(tokens)}


def drawn(count, *, truth=1.0, seed=0, length=0.0):
    """Pairs whose better answer wins with probability σ(truth·Δ); `length` adds tokens to the score."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        tokens = draw.integers(5, 40, size=2)
        gap = abs(draw.normal(0, 1.5))
        wins = draw.random() < 1 / (1 + math.exp(-truth * gap))
        scores = np.array([gap, 0.0] if wins else [0.0, gap]) + length * tokens
        rows.append(row(scores.tolist(), tokens=tokens.tolist()))
    return rows


def test_accuracy_counts_pairs_and_a_half_for_equal_scores():
    found = measures([row((2, 1)), row((0, 1)), row((1, 1)), row((3, -1))])
    assert found["accuracy"]["estimate"] == (1 + 0 + 0.5 + 1) / 4
    assert (found["accuracy"]["n"], found["accuracy"]["over"]) == (4, "pairs")
    assert (found["rows"], found["pairs"], found["answers"], found["equal_scores"]) == (4, 4, 8, 1)
    assert found["margin"]["estimate"] == (1 - 1 + 0 + 4) / 4


def test_accuracy_has_wilson_s_interval_and_a_width_where_all_are_right():
    assert wilson(1.0, 10, over="pairs", unit="").low == pytest.approx(0.7225, abs=1e-4)
    found = wilson(0.8, 50, over="pairs", unit="")
    assert (found.low, found.high) == pytest.approx((0.6696, 0.8876), abs=1e-4)


def test_a_list_counts_by_its_pairs_and_is_drawn_whole():
    lists = [row((3, 2, 1), (2, 1, 0), (1, 1, 1)), row((1, 2, 3), (2, 1, 0), (1, 1, 1)), row((0, 1), (1, 0))]
    found = measures(lists)
    assert found["accuracy"]["estimate"] == 3 / 7
    assert (found["accuracy"]["n"], found["accuracy"]["over"]) == (3, "prompts")
    assert found["best_first"]["estimate"] == 1 / 3


def test_pairs_of_one_prompt_that_agree_do_not_pass_for_many():
    """Twenty prompts of six equal pairs each have the width of twenty, not of 120."""
    values = np.repeat(np.array([1.0, 0.0] * 10), 6)
    clustered = share(values, np.repeat(np.arange(20), 6), over="prompts", unit="")
    assert clustered.n == 20
    assert clustered.high - clustered.low > 0.35


def test_the_temperature_is_that_which_the_scores_were_drawn_with_and_its_interval_holds_it():
    held = 0
    for seed in range(20):
        pairs = held_out(drawn(300, truth=0.5, seed=seed)).ordered
        found = temperature(pairs.difference, pairs.row, "pairs")
        assert found.low is not None
        held += found.low <= 2.0 <= (found.high or math.inf)
    assert held >= 17
    assert found.estimate == pytest.approx(2.0, rel=0.5)


def test_the_temperature_is_where_the_likelihood_is_greatest():
    pairs = held_out(drawn(80, truth=0.7)).ordered
    found = temperature(pairs.difference, pairs.row, "pairs")
    likelihood = lambda t: -np.logaddexp(0, -pairs.difference / t).sum()
    assert likelihood(found.estimate) > max(likelihood(found.estimate * 1.01), likelihood(found.estimate * 0.99))
    assert likelihood(found.estimate) - likelihood(found.low) == pytest.approx(1.9207, abs=1e-3)


def test_a_temperature_that_no_data_bounds_says_why():
    all_right = measures([row((k, 0)) for k in range(1, 12)])["calibration"]["temperature"]
    assert "every pair is right" in all_right["why"]
    wrong = measures([row((0, k)) for k in range(1, 12)])["calibration"]["temperature"]
    assert "no better than chance" in wrong["why"]


def test_brier_and_log_loss_are_those_of_the_claimed_probability():
    found = measures([row((math.log(3), 0)), row((0, math.log(3)))])["calibration"]
    assert found["brier"]["estimate"] == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert found["log_loss"]["estimate"] == pytest.approx((-math.log(0.75) - math.log(0.25)) / 2)


def test_ece_by_hand():
    """Four pairs claim .75 and three are right; four claim about .95 and two are right."""
    claim = lambda p: math.log(p / (1 - p))
    rows = [row((claim(0.75), 0))] * 3 + [row((0, claim(0.75)))] + [row((claim(0.95), 0)), row((0, claim(0.95)))] * 2
    found = measures(rows)["calibration"]
    assert found["ece"]["estimate"] == pytest.approx(0.5 * 0.0 + 0.5 * 0.45)
    bins = {one["from"]: one for one in found["bins"]}
    assert (bins[0.7]["pairs"], bins[0.7]["right"]["estimate"]) == (4, 0.75)
    assert bins[0.9]["confidence"] == pytest.approx(0.95)
    assert bins[0.5]["confidence"] is None


def test_the_ece_of_a_calibrated_model_is_what_chance_gives_and_that_of_a_loud_one_is_not():
    calm = measures(drawn(400, truth=1.0, seed=3))["calibration"]
    loud = measures(drawn(400, truth=0.3, seed=3))["calibration"]
    assert calm["ece"]["estimate"] < calm["ece_if_calibrated"]["high"]
    assert loud["ece"]["low"] > loud["ece_if_calibrated"]["high"]
    assert calm["ece_if_calibrated"]["estimate"] > 0.01


def test_a_score_that_is_the_length_is_found_out():
    """Longer answers win two times in three, the score is the length: right there, wrong wherever the longer loses."""
    draw = np.random.default_rng(1)
    rows = []
    for index in range(90):
        short, long = sorted(draw.choice(50, size=2, replace=False) + 1)
        tokens = (long, short) if index % 3 else (short, long)
        rows.append(row([float(t) for t in tokens], tokens=tokens))
    found = measures(rows)["length"]
    assert found["correlation"]["estimate"] == pytest.approx(1.0)
    assert found["accuracy_longer_loses"]["estimate"] == 0
    assert found["accuracy_longer_wins"]["estimate"] == 1
    assert found["prefers_longer"]["estimate"] == 1
    assert found["longer_is_better"]["estimate"] == pytest.approx(2 / 3)
    assert found["accuracy_of_length"]["estimate"] == pytest.approx(2 / 3)
    assert found["beyond_length"]["estimate"] == 0
    assert found["pairs"] == {"longer_loses": 30, "longer_wins": 60, "equal": 0}


def test_a_score_that_knows_nothing_of_length_is_cleared():
    found = measures(drawn(300, seed=5))["length"]
    low, high = found["correlation"]["low"], found["correlation"]["high"]
    assert low < 0 < high
    assert found["accuracy_longer_loses"]["low"] > 0.5
    assert found["beyond_length"]["low"] > 0


def test_pairs_of_equal_length_are_in_neither_part():
    found = measures([row((1, 0)), row((1, 0), tokens=(3, 4)), row((1, 0), tokens=(4, 3))])["length"]
    assert found["pairs"] == {"longer_loses": 1, "longer_wins": 1, "equal": 1}
    assert found["accuracy_of_length"]["estimate"] == pytest.approx((0.5 + 0 + 1) / 3)


def test_ties_of_the_data_are_near_in_score_or_are_not():
    near = [row((0.1 * k, 0), (1, 1)) for k in range(5)] + [row((1 + k, 0)) for k in range(5)]
    assert measures(near)["ties"]["agreement"]["estimate"] == 1
    assert measures(near)["ties"]["apart"]["estimate"] == pytest.approx(0.2)
    assert measures(near)["pairs"] == 5
    assert "no ties" in measures([row((1, 0))] * 3)["ties"]["agreement"]["why"]


def test_the_brief_reading_agrees_with_the_whole_one():
    rows = drawn(60, seed=2)
    short, whole = brief(rows), measures(rows)
    assert short["accuracy"] == whole["accuracy"]
    assert short["log_loss"] == whole["calibration"]["log_loss"]
    assert short["margin"] == whole["margin"]


def test_held_out_data_that_orders_nothing_says_so():
    found = measures([row((1, 0), (1, 1))] * 4)
    assert found["accuracy"]["estimate"] is None
    assert found["pairs"] == 0


def test_no_figure_is_nan_at_scores_of_ten_thousand():
    found = measures([row((1e4, -1e4)), row((-1e4, 1e4)), row((1e4, 1e4))] * 4)
    assert found["calibration"]["brier"]["estimate"] == pytest.approx((0 + 1 + 0.25) / 3)
    assert found["calibration"]["log_loss"]["estimate"] == pytest.approx((0 + 2e4 + math.log(2)) / 3)
