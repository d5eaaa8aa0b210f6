import math

import pytest

from springback.report.charts.scales import Scale, decimals, domain, size_place, ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.0151, 0.0004), (0.3, 0.81), (-17.3, 11.1), (1e-9, 3e-9), (0, 1413)]
)
def test_ticks_are_round_inside_and_few(low, high):
    marks = ticks(low, high)
    step = marks[1] - marks[0]
    assert 2 <= len(marks) <= 6
    assert low - 1e-12 <= marks[0]
    assert marks[-1] <= high + 1e-9
    assert round(step / 10 ** math.floor(math.log10(step * (1 + 1e-9)))) in (1, 2, 5)


def test_ticks_are_printed_with_digits_that_tell_them_apart():
    assert decimals([0.3, 0.4, 0.5]) == 1
    assert decimals([0, 5, 10]) == 0
    assert decimals([0.0, 0.25]) >= 1


def test_a_range_of_nothing_still_has_room():
    low, high = domain([0.0, 0.0], include=[0.0])
    assert low < 0 < high
    assert len(ticks(low, high)) <= 6
    assert high - low >= 0.01
    assert domain([None]) == (0.0, 1.0)


def test_zero_examples_have_a_place_and_doublings_are_equally_far():
    places = [size_place(n, 8) for n in (0, 8, 24, 56)]
    assert places == [0, 1, 2, 3]


def test_a_value_beyond_the_axis_is_held_at_its_end():
    assert Scale((0, 1), (10, 20)).inside(7) == 20
