import numpy as np
import pytest
from scipy.stats import linregress

from springback.elasticity.scaling import power_law
from springback.errors import RefusedError

SIZES = (10.0, 30.0, 100.0, 300.0)


def law(sizes=SIZES, *, a=2.0, b=-0.5, noise=0.0, seeds=3, seed=0):
    x = np.array(sizes)[:, None]
    return a * x**b * np.exp(noise * np.random.default_rng(seed).standard_normal((len(sizes), seeds)))


def test_an_exact_law_is_recovered():
    found = power_law(SIZES, law())
    assert found.a == pytest.approx(2)
    assert (found.b.low, found.b.estimate, found.b.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert found.r2 == pytest.approx(1)
    assert found.over_seeds.estimate == pytest.approx(-0.5)
    assert found.at(1000.0) == pytest.approx(2 * 1000**-0.5)


def test_with_few_sizes_slope_r2_and_interval_are_scipy_s():
    values = law(noise=0.2)
    found = power_law(SIZES, values)
    reference = linregress(np.log(SIZES), np.log(values).mean(1))
    reach = 4.302652729911275 * reference.stderr  # Student's t on 4 − 2 degrees
    assert found.b.estimate == pytest.approx(reference.slope)
    assert found.r2 == pytest.approx(reference.rvalue**2)
    assert (found.b.low, found.b.high) == pytest.approx((reference.slope - reach, reference.slope + reach))


def test_with_many_sizes_the_bootstrap_holds_the_truth_about_as_often_as_it_says():
    sizes = tuple(float(x) for x in np.geomspace(1, 100, 12))
    hits = sum(not power_law(sizes, law(sizes, noise=0.3, seed=seed)).b.excludes(-0.5) for seed in range(120))
    assert 0.88 < hits / 120 <= 1.0


@pytest.mark.parametrize("sizes", [(10.0, 30.0), (10.0, 10.0, 30.0)])
def test_two_sizes_are_refused(sizes):
    with pytest.raises(RefusedError, match="at least 3"):
        power_law(sizes, np.ones((len(sizes), 2)))


def test_zero_has_no_logarithm_and_is_refused():
    with pytest.raises(RefusedError, match="above 0"):
        power_law(SIZES, law() * np.array([[0.0], [1.0], [1.0], [1.0]]))


def test_one_seed_has_no_interval_over_seeds():
    assert "3" in str(power_law(SIZES, law(seeds=1)).over_seeds.why)
