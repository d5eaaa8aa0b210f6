import numpy as np
import pytest

from springback.elasticity import rebound

START, ALIGNED = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0])


def spring(share: float) -> np.ndarray:
    """A model that a reversal has brought this share of the way back."""
    return ALIGNED + share * (START - ALIGNED)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 1.4])
def test_the_undone_share_of_a_spring_is_how_far_it_has_come_back(share):
    top, bottom = rebound.undone(START, ALIGNED, spring(share))
    assert top.mean() / bottom.mean() == pytest.approx(share)


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_more_than_half_is_undone_when_the_contrast_is_above_zero(share):
    assert (rebound.half_undone(START, ALIGNED, spring(share)).mean() > 0) == (share > 0.5)


def test_a_change_is_negative_where_the_behaviour_fell():
    assert rebound.change(ALIGNED, spring(1.0)).tolist() == [-1.0, -2.0, 0.0]


def test_two_models_that_fall_alike_differ_by_nothing():
    assert not rebound.beyond(ALIGNED, spring(0.5), ALIGNED + 7, spring(0.5) + 7).any()
    assert (rebound.beyond(ALIGNED, spring(1.0), START, START) <= 0).all()


def test_overshoot_is_positive_past_the_start_and_zero_on_it():
    assert not rebound.overshoot(START, spring(1.0)).any()
    assert rebound.overshoot(START, spring(1.4)).mean() > 0 > rebound.overshoot(START, spring(0.5)).mean()


def test_the_initial_slope_is_per_optimiser_step():
    once, four = (rebound.initial_slope(ALIGNED, spring(0.8), steps=k) for k in (1, 4))
    assert (once == 4 * four).all()
    with pytest.raises(ValueError, match="at least one"):
        rebound.initial_slope(ALIGNED, spring(0.8), steps=0)


def test_the_closest_return_is_the_nearest_reversed_point_or_none():
    assert rebound.closest_return(1.412, {8: 1.345, 32: 1.423, 128: 1.451}) == (8, 1.345)
    assert rebound.closest_return(1.0, {8: 1.1, 32: 1.2}) == (0, 1.0)
    assert rebound.closest_return(1.0, {8: 0.5, 32: 0.5}).examples == 8
    assert rebound.closest_return(1.0, {}) == (0, 1.0)
