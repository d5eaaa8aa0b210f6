import math

import numpy as np
import pytest

from springback.elasticity.interference import coefficient, predicted


def draws(masses, count, seed=0):
    return np.random.default_rng(seed).choice(len(masses), size=count, p=masses)


def logs(masses, drawn):
    return np.log(np.asarray(masses, dtype=np.float64))[drawn]


P = (0.25, 0.25, 0.25, 0.25)
A = (0.4, 0.4, 0.1, 0.1)
APART = (0.1, 0.1, 0.4, 0.4)


@pytest.mark.parametrize(("reversal", "says"), [(APART, "hurts"), (A, "helps")])
def test_c2_of_known_masses_is_found_and_its_sign_predicted(reversal, says):
    drawn = draws(A, 4000)
    found = coefficient(logs(reversal, drawn), logs(P, drawn), np.ones(4000))
    exact = sum(a * t / p for a, t, p in zip(A, reversal, P, strict=True))
    assert found.c.estimate == pytest.approx(exact, rel=0.03)
    assert found.c.low < exact < found.c.high
    assert predicted(found) == says


def test_c3_of_disjoint_thirds_is_three():
    """The reversal's answers are those of one third of the start's mass."""
    drawn = draws((0.5, 0.5, 0, 0, 0, 0), 200)
    found = coefficient(logs((0.5, 0.5, 1, 1, 1, 1), drawn), np.full(200, math.log(1 / 6)), np.ones(200))
    assert found.c.estimate == pytest.approx(3)
    assert found.effective == pytest.approx(200)


def test_models_that_agree_have_c_one_and_predict_nothing():
    same = np.linspace(-40.0, -3.0, 30)
    found = coefficient(same, same, np.full(30, 5.0))
    assert (found.c.estimate, found.per_token.estimate, found.effective, found.truncated) == (1, 1, 30, 0)
    assert predicted(found) == "undecided"


def test_an_answer_that_carries_everything_makes_c_not_reportable_with_the_threshold():
    ratios = np.zeros(60)
    ratios[7] = 30.0
    found = coefficient(ratios, np.zeros(60), np.full(60, 20.0))
    assert found.effective == pytest.approx(1, abs=1e-6)
    assert found.truncated == 1
    assert predicted(found) == "not_reportable"
    assert "at least 10" in str(found.c.why)
    assert found.per_token.estimate == pytest.approx(math.exp(30 / 1200))


def test_ratios_are_cut_at_the_root_of_n_times_their_mean():
    ratios = np.concatenate([np.zeros(399), [math.log(60.0)]])
    found = coefficient(ratios, np.zeros(400), np.ones(400))
    cap = math.sqrt(400) * (399 + 60) / 400
    assert found.truncated == 1
    assert found.c.estimate == pytest.approx((399 + cap) / 400)


def test_log_ratios_beyond_any_number_do_not_overflow():
    found = coefficient(np.full(20, 900.0), np.zeros(20), np.full(20, 100.0))
    assert found.c.estimate is None
    assert "no number" in str(found.c.why)
    assert found.per_token.estimate == pytest.approx(math.exp(9))


@pytest.mark.parametrize("seed", range(20))
def test_a_geometric_mean_above_one_never_goes_with_a_c_below_it(seed):
    """Jensen: c ≥ exp(mean log ratio), before truncation."""
    generator = np.random.default_rng(seed)
    ratios = generator.normal(generator.uniform(-0.5, 0.5), 0.3, 100)
    found = coefficient(ratios, np.zeros(100), np.ones(100))
    assert found.truncated == 0
    assert found.c.estimate >= found.per_token.estimate


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="positive length"):
        coefficient(np.zeros(3), np.zeros(3), np.array([1.0, 0.0, 2.0]))


def test_where_c2_is_not_reportable_jensens_bound_may_still_say_that_it_is_above_1():
    generator = np.random.default_rng(4)
    start, tokens = np.zeros(60), np.full(60, 20.0)
    up = coefficient(generator.normal(6, 4, 60), start, tokens)
    assert up.c.estimate is None
    assert predicted(up) == "helps"
    down = coefficient(generator.normal(-6, 4, 60), start, tokens)  # the bound lies below 1: nothing follows
    assert (down.c.estimate, predicted(down)) == (None, "not_reportable")
