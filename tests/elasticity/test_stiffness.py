import numpy as np
import pytest

from springback.elasticity.stiffness import Rates, line, sensitivity, stiffness
from springback.stats.bootstrap import student_quantile

SIZES = (0, 8, 32, 64)


def rates(slope, *, documents=40, seeds=1, noise=0.0, of_seeds=0.0, seed=0, sizes=SIZES):
    """γ(n) = 0.5 + slope · n, in documents of unequal lengths, with noise of documents' slopes and of seeds'."""
    generator = np.random.default_rng(seed)
    text = generator.integers(40, 400, documents).astype(np.float64)
    own = slope + noise * generator.standard_normal(documents)[None] + of_seeds * generator.standard_normal((seeds, 1))
    return Rates((0.5 + own[:, None, :] * np.array(sizes)[None, :, None]) * text, text)


def test_a_straight_law_gives_its_slope_and_r_their_ratio():
    found = stiffness(rates(0.02), rates(-0.0005, seed=1), line(SIZES), k=50.0)
    assert found.S_a.estimate == pytest.approx(0.02)
    assert found.S_p.estimate == pytest.approx(-0.0005)
    assert found.R.estimate == pytest.approx(40)
    assert found.json()["k"] == 50.0


@pytest.mark.parametrize("points", [2, 3])
def test_the_slope_is_that_of_numpy_s_weighted_line(points):
    along = line(SIZES, points=points)
    generator = np.random.default_rng(3)
    readings = Rates(generator.uniform(20, 60, (1, 4, 30)), generator.uniform(50, 90, 30))
    gammas = readings.bits[0].sum(1) / readings.text_bits.sum()
    x, y = np.array(SIZES[: points + 1], dtype=np.float64), gammas[: points + 1]
    expected = np.polyfit(x, y, 1, w=np.sqrt(along.weights))[0]
    assert sensitivity(readings, along).estimate == pytest.approx(expected)


def test_the_weights_are_tricube_up_to_the_next_size_and_favour_the_first():
    along = line(SIZES)
    assert along.sizes == (0, 8, 32)
    assert along.weights == pytest.approx((1, (1 - (8 / 64) ** 3) ** 3, (1 - (32 / 64) ** 3) ** 3))
    assert line((0, 8, 32)).bandwidth == 64
    assert sum(along.coefficients) == pytest.approx(0)


@pytest.mark.parametrize("wrong", [(0, 8), (8, 16, 32), (0, 8, 8), (0, 16, 8)])
def test_a_line_needs_zero_and_two_increasing_sizes(wrong):
    with pytest.raises(ValueError, match="izes"):
        line(wrong)


def test_where_the_pretraining_side_may_not_move_r_is_unbounded_and_says_so():
    found = stiffness(rates(0.02), rates(-1e-5, noise=0.01, seed=1), line(SIZES), k=50.0).R
    assert found.estimate is None
    assert "unbounded" in str(found.why)


@pytest.mark.parametrize("seeds", [1, 4])
def test_the_interval_of_r_is_every_ratio_that_cannot_be_refused(seeds):
    """Fieller by brute force: S_a + ρ·S_p tested against 0 for each ρ on a grid."""
    wanted = rates(0.02, noise=0.01, of_seeds=0.002, seeds=seeds)
    general = rates(-0.004, noise=0.003, of_seeds=0.0003, seeds=seeds, seed=1)
    along = line(SIZES)
    found = stiffness(wanted, general, along, k=1.0).R
    n = 40 if seeds == 1 else seeds
    t = student_quantile(0.975, n - 1)

    def slopes(one):
        own = np.einsum("j,sjd->sd", along.coefficients, one.bits[:, :3])
        by_seed = own.sum(1) / one.text_bits.sum()
        pull = (own.mean(0) - by_seed.mean() * one.text_bits) / one.text_bits.mean()
        return by_seed, (pull**2).sum() / (pull.size * (pull.size - 1))

    (a, docs_a), (p, docs_p) = slopes(wanted), slopes(general)
    kept = []
    for ratio in np.linspace(0, 20, 20_001):
        combined = a + ratio * p
        variance = docs_a + ratio**2 * docs_p + (combined.var(ddof=1) / seeds if seeds > 1 else 0.0)
        if combined.mean() ** 2 <= t**2 * variance:
            kept.append(ratio)
    assert (found.low, found.high) == (pytest.approx(kept[0], abs=0.002), pytest.approx(kept[-1], abs=0.002))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    along = line(SIZES)
    hits = 0
    for seed in range(300):
        wanted, general = rates(0.02, noise=0.02, seed=2 * seed), rates(-0.002, noise=0.003, seed=2 * seed + 1)
        found = stiffness(wanted, general, along, k=1.0).R
        hits += (found.low is not None and not found.excludes(10.0)) or found.estimate is None
    assert 0.90 < hits / 300 <= 1.0


def test_seeds_that_differ_widen_the_interval():
    seen = [rates(0.02, seeds=4, of_seeds=spread, noise=0.001) for spread in (0.0, 0.01)]
    narrow, wide = (sensitivity(one, line(SIZES)) for one in seen)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert wide.over == "seeds"
    assert wide.n == 4


def test_readings_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="seeds and sizes"):
        stiffness(rates(0.1, seeds=2), rates(0.1), line(SIZES), k=1.0)
    with pytest.raises(ValueError, match="document"):
        Rates(np.ones((1, 2, 3)), np.ones(4))
