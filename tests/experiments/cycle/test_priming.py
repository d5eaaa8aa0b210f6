"""The same stretch of margin, climbed twice: by hand, against a slow loop, and at its edges."""

import numpy as np
import pytest

from springback.experiments.cycle.priming import Climb, examples, passage, stretch_ratio


def climb(at, means, spread=0.0, items=16):
    offsets = np.linspace(-1, 1, items) * spread
    return Climb(np.array(at, dtype=float), np.array(means, dtype=float)[:, None] + offsets)


def test_by_hand():
    """From .2 (the higher foot) half of the way to 1: .6. First: 20 → 60 examples. Again: 0 → 20."""
    first = climb([0, 100], [0.0, 1.0])
    again = climb([0, 40], [0.2, 1.0])
    assert examples(again, first, np.ones(16)) == pytest.approx((20.0, 40.0))
    assert stretch_ratio(again, first, np.ones(16)).estimate == pytest.approx(0.5)


def test_a_foot_below_the_first_one_s_is_not_counted():
    """A reversal that overshoots: what it takes to come back to where the first alignment began is left out."""
    first, again = climb([0, 100], [0.0, 1.0]), climb([0, 20, 120], [-0.5, 0.0, 1.0])
    assert examples(again, first, np.ones(16)) == pytest.approx((50.0, 50.0))


def slow_passage(at, means, level):
    """Walk along the line in small steps until it is there."""
    fine = np.linspace(at[0], at[-1], 200_001)
    height = np.interp(fine, at, means)
    there = np.flatnonzero(height >= level)
    return fine[there[0]] if there.size else np.inf


def test_passages_are_those_of_a_slow_walk_along_the_line():
    generator = np.random.default_rng(5)
    at = np.array([0.0, 2.0, 8.0, 16.0, 64.0])
    means = generator.standard_normal((40, 5)).cumsum(1)
    levels = generator.standard_normal(40)
    slow = [slow_passage(at, row, level) for row, level in zip(means, levels, strict=True)]
    assert passage(at, means, levels) == pytest.approx(np.array(slow), abs=1e-3)
    assert 0 < np.isinf(slow).sum() < 40


def slow_ratio(again, first, top):
    foot = max(again.margins[0].mean(), first.margins[0].mean())
    goal = foot + (top.mean() - foot) / 2
    taken = [
        slow_passage(one.at, one.margins.mean(1), goal) - slow_passage(one.at, one.margins.mean(1), foot)
        for one in (again, first)
    ]
    return taken[0] / taken[1]


def test_the_interval_is_a_bootstrap_over_pairs_with_both_curves_drawn_together():
    generator = np.random.default_rng(3)
    pull = generator.uniform(0.5, 1.5, 20)
    grown = lambda half: 1 - 2.0 ** (-np.array([0, 4, 8, 16, 32])[:, None] / half)
    at = np.array([0.0, 4, 8, 16, 32])
    first, again = Climb(at, grown(16) * pull), Climb(at, 0.1 + grown(9) * pull[::-1])
    top = first.margins[-1]
    found = stretch_ratio(again, first, top)
    drawn = []
    for _ in range(300):
        chosen = generator.integers(20, size=20)
        drawn.append(slow_ratio(Climb(at, again.margins[:, chosen]), Climb(at, first.margins[:, chosen]), top[chosen]))
    assert found.estimate == pytest.approx(slow_ratio(again, first, top), abs=1e-3)
    assert found.low == pytest.approx(np.quantile(drawn, 0.02), abs=0.06)
    assert found.high == pytest.approx(np.quantile(drawn, 0.98), abs=0.06)


def test_one_that_does_not_arrive_bounds_the_ratio_and_two_leave_none():
    fast, slow = climb([0, 10], [0.0, 1.0]), climb([0, 40], [0.0, 0.3])
    at_least, at_most = stretch_ratio(slow, fast, np.ones(16)), stretch_ratio(fast, slow, np.ones(16))
    assert (at_least.estimate, at_least.high) == (pytest.approx(8.0), None)
    assert at_least.low == pytest.approx(8.0)
    assert (at_most.estimate, at_most.low) == (pytest.approx(0.125), 0.0)
    assert at_most.high == pytest.approx(0.125)
    assert stretch_ratio(slow, slow, np.ones(16)).why == "neither training comes half of the way within what was read"


def test_where_nothing_was_lost_there_is_nothing_to_regain():
    first = climb([0, 100], [0.0, 1.0], spread=0.2)
    for foot in (0.99, 1.0, 1.4):
        noisy = Climb(first.at, first.margins + np.array([[foot], [0.2]]) + np.tile([0.3, -0.3], 8))
        assert "nothing to regain" in (stretch_ratio(noisy, first, first.margins[-1]).why or "")
