import pytest

from springback.report.numbers import (
    STYLES,
    bare,
    count,
    duration,
    fraction,
    full,
    memory,
    plural,
    probability,
    sized,
    style_for,
)
from springback.report.value import Value, value

NB = "\u00a0"
FALL = Value(-0.0076, -0.0107, -0.0048, n=32, over="pairs", unit="bit/bit")


def test_a_difference_is_printed_with_its_sign_its_interval_and_its_unit():
    assert full(FALL, STYLES["margin"], sign=True) == f"−7.6{NB}[−10.7, −4.8]{NB}·10⁻³ bit/bit"


def test_minus_is_u_2212_and_zero_has_no_sign():
    assert bare(-0.5, STYLES["score"]) == "−0.500"
    assert bare(-0.0001, STYLES["score"], sign=True) == "0.000"
    assert bare(0.0, STYLES["score"], sign=True) == "0.000"


def test_only_differences_carry_a_plus():
    assert bare(0.25, STYLES["score"]) == "0.250"
    assert bare(0.25, STYLES["score"], sign=True) == "+0.250"


def test_what_was_not_measured_says_why_and_is_never_a_zero():
    assert full(value({"estimate": None, "why": "AUC 0.61"}, "r"), STYLES["score"]) == "not reportable: AUC 0.61"


@pytest.mark.parametrize(
    ("unit", "reading", "decimals"),
    [
        ("share of the gain", "margin", 2),
        ("bit/bit", None, 1),
        ("bit/token", None, 3),
        ("probability of wanted", None, 3),
    ],
)
def test_a_reading_has_the_same_decimals_wherever_it_stands(unit, reading, decimals):
    assert style_for(Value(1.0, unit=unit), reading).decimals == decimals


def test_a_slope_says_that_it_is_a_steps():
    assert style_for(Value(-0.001, unit="per optimiser step"), "margin").unit == "·10⁻³ bit/bit a step"


def test_counts_sizes_and_words_do_not_break_over_lines():
    assert count(7390) == "7,390"
    assert sized("n", 8) == f"n{NB}={NB}8"
    assert (plural(1, "step"), plural(4, "step")) == (f"1{NB}step", f"4{NB}steps")


def test_a_reversal_is_compared_with_the_alignment_before_it():
    shown = [fraction(n, whole) for n, whole in ((32, 256), (64, 64), (128, 64), (8, 0), (8, "given"))]
    assert shown == ["N/8", "N", "2N", "", ""]


def test_small_p_values_time_and_memory_have_their_own_words():
    assert (probability(0.00001), probability(0.0123), probability(None)) == (f"<{NB}0.001", "0.012", "–")
    assert (duration(90), duration(600)) == (f"90{NB}s", f"10{NB}minutes")
    assert memory(3_910_000_000) == f"3.64{NB}GiB"


def test_a_number_that_is_none_is_read_as_missing():
    for body in (None, float("nan"), "0.5", True, {"estimate": float("inf")}):
        assert not value(body, "cell:x").known
