import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.elasticity.masses import sources
from springback.elasticity.overlap import Overlap

overlaps = st.sampled_from(["disjoint", "full", "0.3", "0.7", "1", "full:0.7"]).map(Overlap.named)


@given(st.integers(2, 9), st.sampled_from(["uniform", "pareto"]), overlaps, st.floats(0.01, 50), st.integers(0, 99))
def test_every_part_is_a_distribution(depth, masses, overlap, alpha, seed):
    made = sources(depth, masses=masses, overlap=overlap, alpha=alpha, seed=seed)
    for part in (made.rest, made.alignment, made.reversal, made.pretraining):
        assert part.shape == (2**depth,)
        assert part.min() >= 0
        assert part.sum() == pytest.approx(1)


def test_disjoint_parts_are_thirds_in_the_order_of_the_leaves():
    made = sources(4, masses="uniform", overlap=Overlap())
    assert [np.flatnonzero(p).tolist() for p in (made.rest, made.alignment, made.reversal)] == [
        list(range(6)), list(range(6, 11)), list(range(11, 16)),
    ]  # fmt: skip


def test_pareto_masses_can_be_made_again_from_what_is_written_down():
    u = [np.random.default_rng([5, part]).random(32) for part in (1, 2, 3)]
    w = [(1 - x) ** (-1 / 1.2) for x in u]
    made = sources(5, masses="pareto", overlap=Overlap("full", 0.7), alpha=1.2, seed=5)
    assert made.rest == pytest.approx(w[0] / w[0].sum())
    assert made.reversal == pytest.approx(0.7 * w[1] / w[1].sum() + 0.3 * w[2] / w[2].sum())


def test_a_full_overlap_has_independent_masses():
    made = sources(12, masses="pareto", overlap=Overlap("full"))
    assert abs(np.corrcoef(np.log(made.alignment), np.log(made.reversal))[0, 1]) < 0.06


def test_what_d_t_shares_with_d_a_stands_in_pretraining_too():
    made = sources(6, masses="uniform", overlap=Overlap.named("1"))
    assert made.reversal == pytest.approx(made.alignment)
    assert made.pretraining == pytest.approx((made.rest + 2 * made.alignment) / 3)


@pytest.mark.parametrize("name", ["disjoint", "full", "0.25", "1", "full:0.5"])
def test_an_overlap_has_one_name(name):
    assert Overlap.named(name).name == name


def test_no_share_is_disjoint():
    assert Overlap.named("0") == Overlap()


@pytest.mark.parametrize("name", ["", "half", "1.5", "-0.1", "nan", "full:", "some:0.5", "full:2"])
def test_other_overlaps_are_errors(name):
    with pytest.raises(ValueError, match="overlap"):
        Overlap.named(name)


@pytest.mark.parametrize(("depth", "alpha"), [(1, 1.0), (0, 1.0), (4, 0.0), (4, -1.0)])
def test_a_tree_too_small_for_thirds_and_a_shape_that_is_none_are_errors(depth, alpha):
    with pytest.raises(ValueError, match=r"leaves|greater than 0"):
        sources(depth, masses="pareto", overlap=Overlap(), alpha=alpha)
