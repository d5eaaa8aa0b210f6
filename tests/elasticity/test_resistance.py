import numpy as np
import pytest

from springback.elasticity.resistance import Curve, area, contrast, excess, left, own_entropy, paper_statistic, steps_to

STEPS = (0, 1, 2, 4, 8)
TOKENS = np.random.default_rng(9).integers(5, 30, 40).astype(np.float64)


def curve(rate, *, start=0.5, noise=0.0, seed=0, steps=STEPS):
    """Excess that decays as exp(−rate · step), in documents of unequal length."""
    generator = np.random.default_rng(seed)
    own = start * (1 + noise * generator.standard_normal(TOKENS.size)) * TOKENS
    return Curve(steps, np.exp(-rate * np.array(steps))[:, None] * own, TOKENS)


def test_the_area_is_the_trapezoids_mean_over_steps_per_token():
    found = Curve((0, 1, 3), np.outer([4.0, 2.0, 0.0], TOKENS), TOKENS)
    assert area(found).estimate == pytest.approx((3 * 1 + 1 * 2) / 3)
    assert left(found).estimate == pytest.approx((3 * 1 + 1 * 2) / 3 / 4)
    assert excess(found, 1).estimate == pytest.approx(2)


def test_a_model_that_learns_nothing_has_all_of_it_left():
    found = left(curve(0.0, noise=0.3))
    assert (found.low, found.estimate, found.high) == pytest.approx((1, 1, 1))


def test_the_floor_does_not_count():
    """Two targets of different entropy and the same distance have the same excess; their losses differ."""
    calm, rich = 0.3 * TOKENS, 4.0 * TOKENS
    gap = 0.2 * TOKENS
    found = [Curve((0, 1), np.stack([own + gap - own, np.zeros_like(own)]), TOKENS) for own in (calm, rich)]
    assert excess(found[0], 0).estimate == pytest.approx(excess(found[1], 0).estimate)
    assert own_entropy(rich, TOKENS).estimate == pytest.approx(4)


@pytest.mark.parametrize(("slow", "quick"), [(0.1, 0.5), (0.3, 0.4)])
def test_the_contrast_is_positive_where_the_inverse_is_quicker_whatever_the_first_excess(slow, quick):
    found = contrast([(1.0, [curve(slow, start=0.3, noise=0.2)]), (-1.0, [curve(quick, start=0.9, noise=0.2, seed=1)])])
    assert found.low > 0
    there = left(curve(slow)).estimate - left(curve(quick)).estimate
    assert found.estimate == pytest.approx(there)


def test_documents_are_drawn_together():
    """The same documents in both terms: a difference of nothing has no width, however noisy they are."""
    noisy = curve(0.3, noise=0.6)
    found = contrast([(1.0, [noisy]), (-1.0, [noisy])])
    assert (found.low, found.estimate, found.high) == (0, 0, 0)


def test_the_interval_is_the_brute_force_bootstrap_of_a_ratio_of_sums():
    generator = np.random.default_rng(4)
    one = Curve((0, 1), np.abs(generator.normal(10, 6, (2, 40))), TOKENS)
    found = left(one)
    drawn = []
    for _ in range(6000):
        at = generator.integers(40, size=40)
        drawn.append(one.excess[:, at].mean(0).sum() / one.excess[0, at].sum())
    low, high = np.quantile(drawn, [0.0206, 0.9794])
    assert (found.low, found.high) == (pytest.approx(low, rel=0.02), pytest.approx(high, rel=0.02))


def test_a_start_at_its_target_has_no_share():
    noise = Curve(STEPS, np.random.default_rng(1).standard_normal((5, 40)), TOKENS)
    assert "not measurably away" in str(left(noise).why)
    assert left(noise).estimate is None


def test_half_of_an_exponential_is_gone_after_its_half_life():
    steps = tuple(range(17))
    found = steps_to(curve(np.log(2) / 5, noise=0.2, steps=steps))
    assert found.estimate == pytest.approx(5)
    assert found.unit == "steps"


def test_the_paper_s_statistic_is_the_mean_of_training_losses_and_has_no_interval():
    found = paper_statistic([3.0, 2.0, 1.0])
    assert (found.estimate, found.low, found.unit) == (2.0, None, "nat/token")


@pytest.mark.parametrize("steps", [(1, 2), (0, 0), (0,)])
def test_a_curve_begins_at_no_step(steps):
    with pytest.raises(ValueError, match=r"Steps begin|\[step"):
        Curve(steps, np.ones((len(steps), 40)), TOKENS)


def test_curves_of_other_documents_cannot_be_compared():
    short = Curve((0, 1), np.ones((2, 5)), np.ones(5))
    with pytest.raises(ValueError, match="One set"):
        contrast([(1.0, [short]), (-1.0, [curve(0.1)])])
