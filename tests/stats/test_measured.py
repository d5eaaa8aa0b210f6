import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.stats.measured import Measured, mean, ratio_of_sums, unmeasured


def bernoulli_pairs(generator: np.random.Generator, n: int, first: float, second: float) -> np.ndarray:
    return (generator.random(n) < first).astype(float) - (generator.random(n) < second)


@pytest.mark.parametrize("n", [10, 48])
def test_the_interval_of_bernoulli_pairs_covers_the_truth_as_often_as_it_says(n):
    generator, truths, hits = np.random.default_rng(7), [(0.5, 0.5), (0.3, 0.6), (0.7, 0.4), (0.6, 0.6)], []
    for first, second in truths * 150:
        found = mean(bernoulli_pairs(generator, n, first, second), over="pairs", unit="share")
        assert found.low is not None
        assert found.high is not None
        hits.append(found.low - 1e-9 <= first - second <= found.high + 1e-9)
    assert 0.92 <= np.mean(hits) <= 0.98


@pytest.mark.parametrize("n", [2, 4, 7, 8, 16])
def test_normal_values_are_covered_at_any_count(n):
    generator = np.random.default_rng(n)
    draws = [mean(generator.normal(3, 2, n), over="seeds", unit="bit") for _ in range(600)]
    assert 0.92 <= np.mean([m.low <= 3 <= m.high for m in draws]) <= 0.98


def test_four_times_the_items_halve_the_width():
    values = np.random.default_rng(1).normal(size=48)
    few, many = (mean(np.tile(values, k), over="prompts", unit="score") for k in (1, 4))
    assert many.estimate == pytest.approx(few.estimate)
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.5, abs=0.03)


def test_fewer_items_of_the_same_spread_never_give_a_narrower_interval():
    def width(n: int) -> float:
        found = mean([0.0, 1.0] * (n // 2), over="prompts", unit="score")
        return found.high - found.low

    widths = [width(n) for n in (2, 4, 6, 8, 10, 16, 32, 64)]
    assert widths == sorted(widths, reverse=True)


def test_equal_values_give_an_interval_of_that_value_to_the_bit():
    for value in (0.0, 0.1, -3.3):
        found = mean([value] * 7, over="prompts", unit="score")
        assert (found.estimate, found.low, found.high) == (value, value, value)


def test_one_value_has_no_interval_and_says_so():
    assert mean([1.0], over="prompts", unit="score").json() == {
        "estimate": None,
        "why": "1 prompt: an interval needs at least 2",
    }


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_interval_holds_the_estimate_and_repeats_itself(values):
    found = mean(values, over="pairs", unit="bit/bit")
    assert found.low <= found.estimate <= found.high
    assert found == mean(values, over="pairs", unit="bit/bit")


@given(st.lists(st.floats(-100, 100), min_size=8, max_size=30))
def test_a_shift_and_a_scale_move_the_interval_with_them(values):
    plain, moved = mean(values, over="pairs", unit="b"), mean([2 * v + 5 for v in values], over="pairs", unit="b")
    assert (moved.estimate, moved.low, moved.high) == pytest.approx(
        tuple(2 * x + 5 for x in (plain.estimate, plain.low, plain.high)), abs=1e-9
    )


def test_a_ratio_of_sums_weighs_each_document_by_its_size():
    found = ratio_of_sums([10.0, 30.0], [100.0, 100.0], over="documents", unit="bit/bit")
    assert found.estimate == 0.2
    assert ratio_of_sums([1.0, 9.0], [1.0, 99.0], over="documents", unit="bit/bit").estimate == 0.1


def test_a_ratio_of_sums_covers_the_ratio_of_expectations():
    generator, hits = np.random.default_rng(3), []
    for _ in range(400):
        sizes = generator.uniform(50, 150, 20)
        found = ratio_of_sums(0.17 * sizes + generator.normal(0, 4, 20), sizes, over="documents", unit="bit/bit")
        hits.append(found.low <= 0.17 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_no_number_that_json_cannot_say_gets_through():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            mean([1.0, bad], over="prompts", unit="score")
        with pytest.raises(ValueError, match="finite"):
            Measured(bad)
    with pytest.raises(ValueError, match="say why"):
        Measured(None)
    with pytest.raises(ValueError, match="positive"):
        ratio_of_sums([1.0, 1.0], [1.0, 0.0], over="documents", unit="bit/bit")


def test_json_has_the_keys_of_the_contract_and_comes_back():
    found = mean([1.0, 2.0, 4.0], over="pairs", unit="bit/bit")
    body = json.loads(json.dumps(found.json(), allow_nan=False))
    assert list(body) == ["estimate", "low", "high", "level", "n", "over", "unit"]
    assert Measured.of(body) == found
    assert Measured.of({"estimate": 0, "low": 0, "high": 1, "n": 4}) == Measured(0.0, 0.0, 1.0, n=4)
    assert Measured.of(unmeasured("no start").json()) == unmeasured("no start")


def test_an_unmeasured_number_excludes_nothing():
    assert not unmeasured("gone").excludes(0.0)
    assert Measured(2.0, 1.0, 3.0).excludes(0.0)
    assert not Measured(2.0, 1.0, 3.0).excludes(1.0)
