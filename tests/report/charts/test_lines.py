import re

import pytest

from springback.report.charts.frame import Series, Spot
from springback.report.charts.lines import Axis, Lines, lines
from springback.report.numbers import short
from springback.report.value import Value

K, GAMMA = Axis("k", log=True), Axis("γ", log=True)


def drawn(values, *, across=K, up=GAMMA, **more):
    spots = tuple(Spot(x, value if isinstance(value, Value) else Value(value, record=f"r:{x}")) for x, value in values)
    return str(lines(Lines("Rates", (Series("al", spots, "rate"),), across, up, **more)))


def points(text, name="ln al"):
    found = re.search(rf'points="([^"]+)" class="{name}"', text)
    return [tuple(map(float, pair.split(","))) for pair in found[1].split(" ")]


def test_a_power_law_is_straight_on_two_logarithmic_axes_and_bent_on_linear_ones():
    law = [(10.0**i, 10.0 ** (-2 * i)) for i in range(4)]
    (x0, y0), (x1, y1), (x2, y2), _ = points(drawn(law))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    (x0, y0), (x1, y1), (x2, y2), _ = points(drawn(law, across=Axis("k"), up=Axis("γ")))
    assert x2 - x1 > 5 * (x1 - x0)
    assert y1 - y0 > 5 * (y2 - y1)


def test_smaller_values_stand_lower_on_both_kinds_of_axis():
    for log in (True, False):
        ys = [y for _, y in points(drawn([(1, 3.0), (2, 2.0), (3, 1.0)], up=Axis("γ", log=log)))]
        assert ys == sorted(ys)


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten():
    text = drawn([(10.0, 1e-7), (1000.0, 1e-2)])
    labels = re.findall(r'class="tk[^"]*"[^>]*>([^<]+)<', text)
    assert {"10", "100", "1,000", "10⁻⁷", "10⁻⁵", "0.01"} <= set(labels)


def test_an_interval_is_a_band_and_one_that_reaches_below_a_logarithmic_axis_ends_at_its_foot():
    values = [(x, Value(1.0, low=-1.0, high=2.0, record="r:x")) for x in (1.0, 10.0)]
    text = drawn(values)
    assert 'class="bd al"' in text
    floor = max(y for _, y in points(text, "bd al"))
    assert floor == pytest.approx(300 - 34)


def test_a_single_value_with_an_interval_has_a_whisker():
    assert 'class="wk al"' in drawn([(1.0, Value(1.0, low=0.5, high=2.0, record="r:x"))])


def test_what_is_not_known_is_hatched_and_breaks_the_line():
    text = drawn([(1.0, 1.0), (2.0, Value(None, why="gone", record="r:2")), (3.0, 1.0)])
    assert 'class="ht"' in text
    assert "polyline" not in text
    assert "2: not reportable" in text


def test_a_value_without_a_place_on_a_logarithmic_axis_is_an_error():
    with pytest.raises(ValueError, match="logarithmic"):
        drawn([(1.0, 0.0)])


def test_every_value_is_said_in_words_and_points_to_its_record():
    text = drawn([(1.0, 0.5), (2.0, Value(0.25, low=0.2, high=0.3, record="r:2"))], up=Axis("γ, bit/bit"))
    assert "γ, bit/bit against k. rate: 1: 0.5; 2: 0.25 [0.2, 0.3]" in text
    assert {"r:1.0", "r:2"} <= set(re.findall(r'data-record="([^"]+)"', text))


def test_lines_to_compare_with_are_drawn_inside_the_picture():
    text = drawn([(1.0, 0.5), (2.0, 0.7)], up=Axis("γ"), level=0.0, upright=(1.5, "l* = 1.5"))
    assert 'class="st"' in text
    assert "l* = 1.5" in text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0213, "0.0213"), (1200, "1,200"), (-1.08e-7, "−1.08·10⁻⁷"), (1e-7, "10⁻⁷"), (0.5, "0.5"),
     (99999.0, "10⁵"), (-0.25, "−0.25"), (1e6, "10⁶"), (10, "10"), (0.9999, "1"), (1234.5, "1,230"), (-2.0, "−2")],
)  # fmt: skip
def test_a_number_of_any_size_is_short(number, text):
    assert short(number) == text
