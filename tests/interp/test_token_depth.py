"""Token depth on profiles whose shape is known."""

import pytest

from springback.interp.token_depth import profile, shifts_by_position


def test_the_profile_is_the_mean_over_the_answers_that_reach_a_position() -> None:
    answers = [[4.0, 2.0, 9.0]] * 10 + [[2.0, 4.0]] * 10 + [[0.0]] * 5
    found = profile(answers)
    assert [p.position for p in found] == [1, 2, 3]
    assert [p.kl.estimate for p in found] == pytest.approx([(40 + 20) / 25, 3.0, 9.0])
    assert [p.n for p in found] == [25, 20, 10]
    assert found[0].kl.unit == "bit/token"


def test_positions_that_fewer_than_ten_answers_reach_are_cut() -> None:
    answers = [[1.0] * 4] * 9 + [[1.0] * 2] * 3
    assert len(profile(answers)) == 2
    assert len(profile(answers, at_least=9)) == 4
    assert profile([]) == ()


def test_a_divergence_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="finite"):
        profile([[1.0, float("inf")]] * 12)


def test_shares_of_the_shift_classes_by_position() -> None:
    ranks = [[1, 2], [1, 3], [1, 4], [5, 1]] * 3
    found = shifts_by_position(ranks)
    assert [share.json() for share in found] == [
        pytest.approx({"1": 0.75, "2_3": 0.0, "over_3": 0.25}),
        pytest.approx({"1": 0.25, "2_3": 0.5, "over_3": 0.25}),
    ]
    assert len(shifts_by_position([[1, 1], *[[1]] * 9])) == 1
