"""The table of planted points: what moved, what was predicted, what a cure costs, corrected for how many were asked."""

import pytest
from tests.experiments.study.planted import point, points, prediction, predictions

from springback.experiments.study.readings import groups
from springback.experiments.study.table import rows

FALLING = [
    ("long", "dpo", "none", -1.0, -3.0),
    ("long", "dpo", "anchor", 1.0, -0.5),
    ("long", "simpo", "none", 0.5, 0.0),
]


def table(made, *said):
    return dict(rows(groups(made), predictions(*said)))


def test_what_moved_is_told_with_the_margin_between():
    row = table(points(*FALLING))["long/dpo/none"]
    assert row["chosen"]["estimate"] == pytest.approx(-1.0)
    assert row["margin"]["estimate"] == pytest.approx(2.0)
    assert (row["tests"]["chosen"]["outcome"], row["tests"]["rejected"]["outcome"]) == ("falls", "falls")
    assert row["chosen_fell"]["held_out"]["estimate"] == 1.0
    assert row["reward_accuracy"]["estimate"] == 1.0


def test_a_cure_costs_what_is_missing_from_the_margin_without_it():
    found = table(points(*FALLING))
    cost = found["long/dpo/anchor"]["cost"]
    assert cost["difference"]["estimate"] == pytest.approx(1.5 - 2.0)
    assert cost["ratio"]["estimate"] == pytest.approx(0.75)
    assert found["long/dpo/anchor"]["tests"]["cost"]["outcome"] == "costs"
    assert found["long/dpo/none"]["cost"] is None


def test_a_cure_is_compared_with_its_own_loss_on_its_own_data():
    """`simpo + anchor` is not held against dpo, nor against other data."""
    made = points(*FALLING, ("short", "dpo", "none", 0.0, -9.0), ("long", "simpo", "anchor", 0.5, -1.0))
    row = table(made)["long/simpo/anchor"]
    assert row["cost"]["difference"]["estimate"] == pytest.approx(1.5 - 0.5)
    assert row["tests"]["cost"]["outcome"] == "gains"


def test_whether_the_prediction_came_true_is_yes_no_or_undecided():
    still = ("long", "ipo", "none", 0.0, 0.0)
    said = [prediction("long", "dpo", falls=0.9), prediction("long", "simpo", falls=0.8), prediction("long", "ipo")]
    found = table(points(*FALLING, still), *said)
    assert [found[f"long/{loss}/none"]["came_true"] for loss in ("dpo", "simpo", "ipo")] == ["yes", "no", "undecided"]
    assert found["long/dpo/anchor"]["came_true"] == "not predicted"


def test_from_three_seeds_on_intervals_are_over_seeds_and_decide_too():
    one = [("long", "dpo", "none", -1.0, -3.0)]
    over = lambda made: table(made)["long/dpo/none"]["chosen"]["over"]
    assert (over(points(*one, seeds=(0, 1))), over(points(*one, seeds=(0, 1, 2)))) == ("pairs", "seeds")
    torn = [point("long", "dpo", "none", seed, chosen=by, rejected=0.0) for seed, by in enumerate((-4.0, 0.5, 0.4))]
    row = table({body["name"]: body for body in torn})["long/dpo/none"]
    assert row["tests"]["chosen"]["p_holm"] < 0.05  # every pair falls on average of the seeds
    assert row["tests"]["chosen"]["outcome"] == "undecided"  # and the seeds do not agree


def test_every_test_of_the_table_counts_in_its_correction():
    found = table(points(*FALLING))
    tests = [test for row in found.values() for test in row["tests"].values()]
    assert {test["of"] for test in tests} == {len(tests)} == {7}
    assert all(test["p_holm"] >= test["p"] for test in tests)
    assert min(test["p_holm"] for test in tests) == pytest.approx(7 * min(test["p"] for test in tests))


def test_signs_are_compared_on_the_pairs_of_the_first_batch_only():
    """Predicted to rise; pairs 0 and 1 rose, 2 fell, and pair 9 fell without having been trained on."""
    body = point("long", "dpo", "none", 0, chosen=1.0, rejected=0.0)
    body["first"]["chosen"] = [1.0, 1.0, -1.0] + [-1.0] * 21
    agreed = table({"one": body}, prediction("long", "dpo"))["long/dpo/none"]["agreement"]
    assert (agreed["estimate"], agreed["n"]) == (pytest.approx(2 / 3), 3)
