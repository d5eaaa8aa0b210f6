"""Holm, AUC, rank correlation, profiles and unpaired differences: known values and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.stats.auc import auc
from springback.stats.holm import holm
from springback.stats.measured import Measured, unmeasured
from springback.stats.profile import half_position, half_position_difference
from springback.stats.rank import ranks, spearman
from springback.stats.unpaired import difference


def test_holm_multiplies_the_smallest_by_all_and_the_next_by_one_less():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_counts_tests_that_were_stated_and_not_measured():
    assert holm([0.01, None, None]) == [pytest.approx(0.03), None, None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(ps):
    adjusted = holm(ps)
    assert all(p <= a <= min(1, len(ps) * p) + 1e-12 for p, a in zip(ps, adjusted, strict=True))
    order = np.argsort(ps, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


def test_under_no_effect_a_family_is_wrong_once_in_twenty():
    generator = np.random.default_rng(0)
    wrong = np.mean([min(holm(list(generator.random(6)))) <= 0.05 for _ in range(2000)])
    assert 0.03 <= wrong <= 0.07


def test_auc_counts_pairs_and_half_of_the_ties():
    found = auc([3.0, 1.0, 2.0, 1.0], [True, True, False, False])
    assert found.estimate == (1 + 1 + 0 + 0.5) / 4


def test_auc_of_a_complete_separation_has_a_width_and_stays_below_one():
    found = auc([1.0] * 5 + [0.0] * 5, [True] * 5 + [False] * 5)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.5 < found.low < 0.9


def test_auc_of_exchanged_labels_is_the_mirror():
    x, side = np.random.default_rng(1).normal(size=40), np.arange(40) < 15
    one, other = auc(x, side), auc(x, ~side)
    assert (one.estimate, one.low, one.high) == pytest.approx((1 - other.estimate, 1 - other.high, 1 - other.low))


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.5), (1.0, 0.7602), (2.5, 0.9614)])
def test_the_interval_of_an_auc_covers_the_truth(shift, truth):
    generator, side, hits = np.random.default_rng(8), np.arange(60) < 30, []
    for _ in range(400):
        found = auc(generator.normal(0, 1, 60) + shift * side, side)
        hits.append(found.low <= truth <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.99


def test_auc_with_one_kind_of_answer_is_not_measured():
    assert auc([1.0, 2.0], [True, True]).estimate is None


def test_ranks_share_the_mean_of_their_places():
    assert list(ranks([5.0, 1.0, 5.0, 2.0])) == [3.5, 1.0, 3.5, 2.0]


def test_spearman_sees_order_only():
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert spearman(x, [v**3 for v in x], over="cells").estimate == 1.0
    assert spearman(x, [-v for v in x], over="cells").estimate == -1.0
    assert spearman(x, [1.0, 2.0, 3.0, 4.0, 6.0, 5.0], over="cells").estimate == pytest.approx(1 - 6 * 2 / (6 * 35))


def test_spearman_is_not_measured_on_a_constant_or_on_four_items():
    assert spearman([1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], over="cells").estimate is None
    assert spearman([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], over="cells").estimate is None


def test_spearman_of_independent_readings_covers_zero():
    generator = np.random.default_rng(9)
    draws = [spearman(generator.normal(size=20), generator.normal(size=20), over="cells") for _ in range(500)]
    assert 0.92 <= np.mean([d.low <= 0 <= d.high for d in draws]) <= 0.98


def test_half_of_a_flat_profile_is_spent_in_the_middle():
    assert half_position([[1.0] * 8] * 12, fewest=10).estimate == 4.0


def test_half_of_a_profile_that_is_all_in_one_token_is_spent_within_it():
    assert half_position([[0.0, 0.0, 2.0, 0.0]] * 12, fewest=10).estimate == 2.5


def test_a_profile_is_cut_where_fewer_than_ten_answers_reach_it():
    rows = [[1.0] * 4] * 10 + [[1.0] * 4 + [100.0] * 4] * 9
    assert half_position(rows, fewest=10).estimate == 2.0
    assert half_position(rows[:9], fewest=10).estimate is None
    assert half_position([[0.0] * 4] * 12, fewest=10).estimate is None


def test_two_profiles_of_the_same_prompts_are_compared_by_whole_prompts():
    generator = np.random.default_rng(2)
    rows = generator.exponential(1, (30, 12))
    assert half_position_difference(rows.tolist(), rows.tolist(), fewest=10).json()["low"] == 0.0
    early = rows * np.linspace(2, 0, 12)
    found = half_position_difference(early.tolist(), rows.tolist(), fewest=10)
    assert found.high < 0


def test_unpaired_intervals_join_as_independent_ones():
    found = difference(Measured(5.0, 2.0, 8.0, n=9), Measured(1.0, -3.0, 5.0, n=4))
    assert (found.estimate, found.low, found.high, found.n) == (4.0, -1.0, 9.0, 4)
    assert difference(unmeasured("gone"), Measured(1.0, 0.0, 2.0)).why == "gone"
