"""Token depth on profiles whose shape is known."""

import pytest

from springback.interp.token_depth import half_mass, profile, shifts_by_position


def test_the_profile_is_the_mean_over_the_answers_that_reach_a_position() -> None:
    answers = [[4.0, 2.0, 9.0]] * 10 + [[2.0, 4.0]] * 10 + [[0.0]] * 5
    found = profile(answers)
    assert [p.position for p in found.positions] == [1, 2, 3]
    assert [p.kl.estimate for p in found.positions] == pytest.approx([(40 + 20) / 25, 3.0, 9.0])
    assert [p.n for p in found.positions] == [25, 20, 10]
    assert found.positions[0].kl.unit == "bit/token"


def test_positions_that_fewer_than_ten_answers_reach_are_cut_and_counted() -> None:
    answers = [[1.0] * 4] * 9 + [[1.0] * 2] * 3
    found = profile(answers)
    assert (len(found.positions), found.cut, found.at_least) == (2, 2, 10)
    assert len(profile(answers, at_least=9).positions) == 4


def test_half_of_the_mass_by_arithmetic() -> None:
    assert half_mass([[3.0, 1.0, 1.0, 1.0]] * 12).estimate == 1  # 3 of 6 is half already
    assert half_mass([[1.0, 1.0, 2.0, 2.0]] * 12).estimate == 3  # 1, 2, 4 of 6
    assert half_mass([[1.0] * 7] * 12).estimate == 4
    assert half_mass([[0.0, 0.0, 5.0]] * 12).estimate == 3


def test_the_half_is_taken_of_means_so_answers_that_end_early_do_not_make_it_earlier() -> None:
    found = half_mass([[1.0, 3.0]] * 15 + [[1.0]] * 30)  # means 1 and 3; sums 45 and 45
    assert (found.estimate, found.low, found.high) == (2, 2, 2)


def test_an_alignment_of_three_tokens_is_shallow_whatever_follows() -> None:
    planted = [[2.0, 2.0, 2.0, *[0.01] * 17]] * 30
    assert half_mass(planted).estimate == 2
    even = [[0.3] * 20] * 30
    assert half_mass(even).estimate == 10


def test_the_interval_over_answers_holds_the_estimate_and_narrows_with_answers() -> None:
    answers = [[4.0, 1.0, 1.0, 1.0] if index % 3 else [0.5, 1.0, 2.0, 3.0] for index in range(120)]
    few, many = half_mass(answers[:12]), half_mass(answers)
    for found in (few, many):
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.estimate <= found.high  # pyright: ignore[reportOperatorIssue]
    assert many.high - many.low <= few.high - few.low  # pyright: ignore[reportOptionalOperand]
    assert (many.n, many.over, many.unit) == (120, "answers", "tokens")


def test_what_cannot_be_measured_says_why() -> None:
    assert "10" in (half_mass([[1.0]] * 9).why or "")
    assert "same" in (half_mass([[0.0, 0.0]] * 12).why or "")
    assert profile([]).positions == ()


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
