from itertools import product

import numpy as np
import pytest

from springback.stats.paired import (
    least_p,
    over_seeds,
    ratio_of_means,
    sign_flip,
    smallest_detectable,
    student_p,
)


def test_sign_flips_of_few_differences_are_counted_out():
    d = [3.0, 1.0, -0.5, 2.0]
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=4)]
    assert sign_flip(d) == sum(s >= 5.5 for s in sums) / 16 == 4 / 16


def test_differences_that_all_agree_are_judged_by_how_many_they_are():
    assert sign_flip([0.1] * 5) == 2 / 32
    assert sign_flip([0.1] * 12) == 2 / 4096
    assert sign_flip([0.1] * 48) == 1 / 10_000


def test_differences_of_zero_say_nothing():
    assert sign_flip([0.0] * 48) == 1.0
    assert sign_flip([0.0] * 43 + [0.1] * 5) == sign_flip([0.1] * 5)


@pytest.mark.parametrize("n", [10, 48])
def test_under_no_difference_p_is_small_as_seldom_as_it_says(n):
    generator = np.random.default_rng(11)
    small = np.mean([sign_flip(generator.normal(size=n)) <= 0.05 for _ in range(800)])
    assert 0.03 <= small <= 0.07


def test_turning_all_signs_changes_nothing():
    d = np.random.default_rng(5).normal(0.3, 1, 20)
    assert sign_flip(d) == sign_flip(-d)


def test_no_effect_gets_below_the_least_p():
    for n in (3, 8, 48):
        assert sign_flip([1.0] * n) == pytest.approx(least_p(n), rel=0.01)


def test_the_smallest_detectable_difference_is_found_four_times_in_five():
    generator = np.random.default_rng(2)
    reach = smallest_detectable(generator.normal(0, 1, 4000)) * np.sqrt(4000 / 48)
    found = np.mean([sign_flip(generator.normal(reach, 1, 48)) <= 0.05 for _ in range(300)])
    assert 0.74 <= found <= 0.86


def test_the_smallest_detectable_difference_halves_with_four_times_the_pairs():
    d = np.random.default_rng(2).normal(0, 1, 100)
    assert smallest_detectable(np.tile(d, 4)) / smallest_detectable(d) == pytest.approx(0.5, abs=0.01)
    assert smallest_detectable([1.0]) is None
    assert smallest_detectable(d, alpha=0.01) > smallest_detectable(d)


def test_a_ratio_is_unmeasured_where_its_denominator_may_be_zero():
    generator = np.random.default_rng(0)
    found = ratio_of_means(generator.normal(1, 1, 30), generator.normal(0, 1, 30), over="pairs", unit="share")
    assert found.estimate is None
    assert "includes 0" in found.why


def test_a_ratio_lies_above_a_half_when_the_difference_says_so():
    from springback.stats.measured import mean

    generator = np.random.default_rng(4)
    for shift in np.linspace(0.2, 0.9, 15):
        bottom = generator.normal(1, 0.8, 40)
        top = shift * bottom + generator.normal(0, 0.6, 40)
        ratio = ratio_of_means(top, bottom, over="pairs", unit="share")
        difference = mean(top - 0.5 * bottom, over="pairs", unit="bit")
        assert (ratio.low > 0.5) == (difference.low > 0)
        assert (ratio.high < 0.5) == (difference.high < 0)


def test_a_ratio_covers_the_ratio_of_the_means_whatever_its_sign():
    generator, hits = np.random.default_rng(16), []
    for _ in range(600):
        bottom = generator.normal(1, 1, 48)
        top = 0.7 * bottom + generator.normal(0, 1, 48)
        found = ratio_of_means(top, bottom, over="pairs", unit="share")
        hits.append(found.low <= 0.7 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.98
    assert ratio_of_means(-top, -bottom, over="pairs", unit="share").json() == pytest.approx(found.json())


def test_seeds_need_three_and_have_students_interval():
    assert over_seeds([1.0, 2.0], unit="bit").estimate is None
    found = over_seeds([1.0, 2.0, 3.0], unit="bit")
    reach = 4.302653 / np.sqrt(3)
    assert (found.low, found.high, found.n, found.over) == (
        pytest.approx(2 - reach, abs=1e-5), pytest.approx(2 + reach, abs=1e-5), 3, "seeds"
    )  # fmt: skip
    assert over_seeds([0.1] * 3, unit="bit").low == 0.1


def test_students_p_is_that_of_the_interval():
    assert student_p([1.0, 2.0, 3.0]) == pytest.approx(0.07418, abs=1e-4)
    assert student_p([0.0, 0.0, 0.0]) == 1.0
