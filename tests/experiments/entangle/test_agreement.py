"""Signs and ranks: what counts as agreement, over what the interval is, and what chance reaches."""

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from springback.experiments.entangle.agreement import Changes, compared, rank_correlation, share, sign_agreement


def changes(predicted, measured, *, floor=0.0, pairs=None):
    predicted, measured = np.array(predicted, dtype=float), np.array(measured, dtype=float)
    return Changes(predicted, measured, np.arange(len(predicted)) if pairs is None else np.array(pairs), floor)


@pytest.mark.parametrize(("hit", "n"), [(0, 24), (24, 24), (3, 17), (40, 41)])
def test_a_share_has_wilson_s_interval(hit, n):
    found = share([True] * hit + [False] * (n - hit), over="pairs")
    expected = binomtest(hit, n).proportion_ci(method="wilson")
    assert (found.estimate, found.low, found.high) == pytest.approx((hit / n, expected.low, expected.high), abs=1e-9)


def test_no_pair_is_no_share():
    assert share([], over="pairs").estimate is None


def test_signs_within_the_noise_floor_are_left_out_and_counted_apart():
    given = changes([[1, 1], [1, -1], [-1, 1]], [[2, 1e-6], [3, -2], [1e-6, 4]], floor=1e-5)
    table = compared({"claim": given})["claim"]
    assert table["sign_agreement"]["estimate"] == 1.0
    assert table["sign_agreement_all"]["estimate"] == pytest.approx(5 / 6)
    assert (table["changes"], table["above_floor"]) == (6, 4)


def test_all_below_the_floor_says_nothing():
    found = sign_agreement(changes([[1, 1]], [[1e-9, 1e-9]], floor=1e-6))
    assert found.estimate is None
    assert "noise floor" in str(found.why)


def test_pairs_that_all_have_one_answer_right_agree_by_half():
    found = sign_agreement(changes([[1, 1]] * 12, [[1, -1]] * 12))
    assert found.estimate == pytest.approx(0.5)
    assert 0.2 < found.low < found.high < 0.8


def test_a_pair_read_under_many_steps_counts_once_in_the_interval():
    """Twelve readings of twelve pairs, and the same called those of two pairs: the interval must not shrink."""
    predicted, measured = [[1, 1]] * 12, [[1, 1]] * 9 + [[-1, 1]] * 3
    many, few = (
        sign_agreement(changes(predicted, measured)),
        sign_agreement(changes(predicted, measured, pairs=[0, 1] * 6)),
    )
    assert many.estimate == few.estimate == pytest.approx(21 / 24)
    assert (many.n, few.n) == (12, 2)


def test_ranks_are_spearman_s_and_the_interval_holds_the_estimate():
    random = np.random.default_rng(1)
    x = random.standard_normal((30, 2))
    y = x + random.standard_normal((30, 2))
    found = rank_correlation(changes(x, y))
    assert found.estimate == pytest.approx(spearmanr(x.ravel(), y.ravel()).statistic)
    assert found.low < found.estimate < found.high
    assert (found.high - found.low) == pytest.approx(0.34, abs=0.12)  # Fisher: 2·1.96·√((1+ρ²/2)/57)·(1−ρ²)


def test_a_predictor_that_was_not_made_for_some_answers_is_judged_on_the_others():
    found = compared({"own": changes([[1, 1], [np.nan, np.nan]], [[1, 1], [1, 1]])})["own"]
    assert found["sign_agreement"]["n"] == 1
    assert found["changes"] == 2


def test_a_constant_prediction_has_no_rank_correlation():
    assert rank_correlation(changes([[1, 1]] * 12, np.random.default_rng(0).standard_normal((12, 2)))).estimate is None
