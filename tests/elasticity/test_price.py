"""The cost-to-undo ratio: known laws, one-sided knowledge, and what has no price."""

import numpy as np
import pytest

from springback.elasticity.price import price_ratio

AT = (0, 8, 16, 32, 64)


def left(half: float, *, n=72, noise=0.0, draw=0, gain=1.0):
    """[point, item]: a gain that falls in a straight line, half of it gone after `half` examples."""
    generator = np.random.default_rng(draw)
    items = gain * generator.uniform(0.5, 1.5, n)
    lines = np.array([items * (1 - 0.5 * place / half) for place in AT])
    return lines + noise * generator.normal(size=lines.shape)


def test_a_defence_that_doubles_the_price_has_a_ratio_of_two():
    found = price_ratio(AT, left(28.0), left(14.0))
    assert found.estimate == pytest.approx(2)
    assert (found.low, found.high) == (pytest.approx(2), pytest.approx(2))


def test_no_defence_has_a_ratio_of_one_and_the_other_way_round_it_is_the_inverse():
    same = left(14.0, noise=0.2)
    assert price_ratio(AT, same, same).estimate == 1
    one, other = left(14.0, noise=0.1, draw=1), left(20.0, noise=0.1, draw=1)
    there, back = price_ratio(AT, other, one), price_ratio(AT, one, other)
    assert there.estimate * back.estimate == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1, rel=0.02)


def test_the_truth_lies_in_the_interval_about_as_often_as_it_states():
    held = 0
    for draw in range(60):
        found = price_ratio(AT, left(28.0, noise=0.4, draw=draw), left(14.0, noise=0.4, draw=1000 + draw))
        held += found.low <= 2 <= (found.high or np.inf)
    assert held >= 51


def test_a_defence_under_which_half_is_never_gone_gives_a_lower_bound_that_says_so():
    found = price_ratio(AT, left(1000.0), left(16.0))
    assert (found.estimate, found.high) == (4, None)
    assert found.why == "at least: defended, half is not gone within 64 examples"


def test_draws_that_do_not_reach_it_leave_the_interval_open_above():
    found = price_ratio(AT, left(60.0, noise=2.0), left(14.0))
    assert found.high is None
    assert found.why.startswith("no upper end")
    assert found.low < found.estimate


def test_an_undefended_alignment_that_stays_has_no_price():
    assert "undefended, half is not gone within 64" in price_ratio(AT, left(14.0), left(1000.0)).why


@pytest.mark.parametrize(
    ("defended", "plain", "which"), [(0.0, 1.0, "defended"), (1.0, 0.0, "undefended"), (1.0, -1.0, "undefended")]
)
def test_where_there_is_no_clear_gain_nothing_has_a_price(defended, plain, which):
    both = [left(14.0, gain=gain, noise=0.5, draw=draw) for draw, gain in enumerate((defended, plain))]
    found = price_ratio(AT, *both)
    assert found.why.startswith(which)
    assert "nothing to lose" in found.why


def test_other_items_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="same points and items"):
        price_ratio(AT, left(14.0, n=10), left(14.0, n=11))


def test_draws_in_which_the_undefended_one_stays_let_the_ratio_be_anything_below():
    found = price_ratio(AT, left(20.0), left(58.0, noise=2.0))
    assert found.low == 0
    assert found.high is not None
