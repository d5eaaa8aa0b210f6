import numpy as np
import pytest

from springback.elasticity.half_life import crossing, until

AT = (0, 4, 8, 16, 32)


def decay(rate, items=30, noise=0.0, seed=0):
    """Each item loses its own gain at one rate, straight between the points."""
    generator = np.random.default_rng(seed)
    gains = generator.uniform(0.5, 1.5, items)
    return gains * (1 - rate * np.array(AT))[:, None] + noise * generator.standard_normal((len(AT), items))


def test_a_straight_loss_is_half_gone_half_way():
    found = until(AT, decay(1 / 32), over="pairs", unit="examples")
    assert found.estimate == pytest.approx(16)
    assert (found.low, found.high) == (pytest.approx(16), pytest.approx(16))
    assert (found.unit, found.over, found.n) == ("examples", "pairs", 30)


@pytest.mark.parametrize(("share", "where"), [(0.9, 3.2), (0.75, 8.0), (0.2, 25.6)])
def test_other_shares_are_interpolated(share, where):
    assert until(AT, decay(1 / 32), share=share, over="pairs", unit="steps").estimate == pytest.approx(where)


def test_what_is_never_half_gone_says_so_and_names_the_last_point():
    found = until(AT, decay(1 / 100), over="pairs", unit="examples")
    assert found.estimate is None
    assert "not reached within 32 examples" in str(found.why)


def test_a_gain_that_is_noise_has_no_half_life():
    noise = np.random.default_rng(1).standard_normal((5, 40))
    assert "nothing to lose" in str(until(AT, noise, over="pairs", unit="examples").why)


def test_the_first_crossing_counts_even_where_it_comes_back():
    means = np.array([[1.0, 0.48, 0.9, 0.2, 0.1]])
    assert crossing(np.array(AT, dtype=np.float64), means, 0.5) == pytest.approx([4 * 0.5 / 0.52])


def test_the_interval_is_the_brute_force_bootstrap_of_whole_items():
    left = decay(1 / 32, noise=0.4)
    found = until(AT, left, over="pairs", unit="examples")
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(4000):
        mean = left[:, generator.integers(30, size=30)].mean(1)
        below = next(j for j in range(1, 5) if mean[j] <= mean[0] / 2)
        part = (mean[below - 1] - mean[0] / 2) / (mean[below - 1] - mean[below])
        drawn.append(AT[below - 1] + part * (AT[below] - AT[below - 1]))
    low, high = np.quantile(drawn, [0.019, 0.981])
    assert found.low == pytest.approx(low, rel=0.08)
    assert found.high == pytest.approx(high, rel=0.08)


def test_where_some_resamples_never_cross_there_is_no_upper_end():
    left = decay(1 / 60, noise=1.2, seed=1)
    found = until(AT, left, over="pairs", unit="examples")
    assert found.estimate is not None
    assert found.high is None
    assert found.low is not None
    assert "no upper end" in str(found.why)


@pytest.mark.parametrize(("at", "share"), [((0, 4, 4, 16, 32), 0.5), (AT, 1.0), ((0, 4), 0.5)])
def test_points_must_increase_and_fit(at, share):
    with pytest.raises(ValueError, match="oint"):
        until(at, decay(0.1), share=share, over="pairs", unit="steps")
