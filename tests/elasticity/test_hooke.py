import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.elasticity.hooke import extensions, kl, printed_kl, pull, series_stiffness
from springback.elasticity.masses import sources
from springback.elasticity.mixture import Mixture
from springback.elasticity.overlap import Overlap


def mixture(overlap="disjoint", k=10.0, l=0.0, depth=6):  # noqa: E741
    return Mixture(sources(depth, masses="pareto", overlap=Overlap.named(overlap), seed=2), k, l)


@pytest.mark.parametrize(("k", "p", "a"), [(10.0, -0.01159, 0.01306), (1000.0, -1.297e-4, 1.441e-4)])
def test_the_forces_of_the_research_note(k, p, a):
    found = pull(mixture(k=k, depth=12), to=0.1)
    assert found.force_p == pytest.approx(p, rel=5e-4)
    assert found.force_a == pytest.approx(a, rel=5e-4)


@given(st.floats(0.5, 1e4), st.floats(0.01, 0.5), st.sampled_from(["disjoint", "full", "0.3"]))
def test_a_force_is_size_times_the_change_of_kl_which_is_depth_times_the_change_of_the_rate(k, to, overlap):
    before, after = mixture(overlap, k), mixture(overlap, k, to)
    s, found = before.sources, pull(before, to=to)
    moved = kl(s.pretraining, after.masses) - kl(s.pretraining, before.masses)
    assert found.force_p == pytest.approx(k * moved, abs=1e-13 * k * 10)
    assert found.force_a == pytest.approx(s.depth * (after.rates().a - before.rates().a), abs=1e-12)


def test_the_springs_pull_equally_where_the_set_between_them_is_large_and_the_pull_small():
    ratios = [pull(mixture(k=k), to=to).ratio for k, to in ((10.0, 0.1), (1e3, 0.1), (1e4, 1e-3))]
    assert ratios[0] == pytest.approx(1.127, abs=1e-3)
    assert ratios[1] == pytest.approx(1.111, abs=1e-3)
    assert ratios[2] == pytest.approx(1, abs=2e-3)


def test_the_printed_direction_is_infinite_where_supports_differ_and_finite_when_smoothed():
    m = mixture()
    assert printed_kl(m, m.sources.alignment) == math.inf
    assert kl(m.sources.alignment, m.masses) < math.inf
    assert printed_kl(m, m.sources.alignment, smoothing=0.1) < printed_kl(m, m.sources.alignment, smoothing=0.01)
    uniform = np.full(64, 1 / 64)
    assert printed_kl(m, m.sources.alignment, smoothing=1.0) == pytest.approx(kl(m.masses, uniform))


def test_divergence_has_a_direction():
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    assert kl(p, q) == pytest.approx(0.5 * math.log2(2 / 3) + 0.5)
    assert kl(q, p) == pytest.approx(0.75 * math.log2(1.5) - 0.25)
    assert kl(p, p) == 0


def test_equal_distributions_have_no_force_and_no_ratio():
    m = Mixture(sources(6, masses="uniform", overlap=Overlap("full")), 1000.0, 0.0)
    assert pull(m, to=0.1) == (0.0, 0.0)
    assert pull(m, to=0.1).ratio is None


def test_springs_in_series_share_a_stretch_inversely_to_their_constants():
    assert series_stiffness(2.0, 2.0) == 1
    assert extensions(3.0, 1.0, 2.0) == pytest.approx((2.0, 1.0))
    given_ = extensions(1.0, 1000.0, 1.0)
    assert sum(given_) == pytest.approx(1)
    assert given_[0] * 1000 == pytest.approx(given_[1])


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_smoothing_is_a_share(share):
    m = mixture()
    with pytest.raises(ValueError, match="share"):
        printed_kl(m, m.sources.rest, smoothing=share)
