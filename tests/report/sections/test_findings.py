"""Headings, rows and advice say what the tests support, and no more."""

import pytest
from tests.report.example_run import Example

from springback.report.evidence import Evidence
from springback.report.sections import advice, differences, falls, rebound, undone

RUN = Example(sizes=(64, 256), reversals=(8, 32, 128), samples=1, pairs=1)


def evidence(run: Example = RUN, **changed) -> Evidence:
    return Evidence({**run.records(), **changed}, run.meta())


def with_outcome(outcome: str) -> Evidence:
    tests = {key: {**body, "outcome": outcome} for key, body in RUN.records()["test"].items()}
    return evidence(test=tests)


def heading(found: Evidence) -> str:
    return differences.heading(found, 256)


def test_the_heading_claims_only_the_sizes_that_a_test_decided():
    assert (
        heading(evidence()) == "An aligned model falls further than an equally tuned, unaligned one, after 32 examples"
    )


@pytest.mark.parametrize("outcome", ["undecided", "not_measured", "fails"])
def test_a_test_that_does_not_hold_makes_no_finding(outcome):
    assert heading(with_outcome(outcome)).startswith("This run cannot tell")


def test_without_a_stated_test_the_heading_says_not_tested():
    assert heading(evidence(test={})).endswith("not tested")


def test_without_contrasts_the_heading_says_not_measured():
    assert heading(evidence(contrast={})).endswith("not measured")


def test_an_interval_clear_of_0_is_hollow_where_its_corrected_test_is_not_decided():
    (margin, _) = falls.view(with_outcome("undecided")).sides
    row = next(row for row in margin.rows if (row.against, row.n) == ("benign-tuned model", 32))
    assert row.outcome == "undecided"
    assert " ho" in row.bar


def test_the_row_that_decides_is_the_one_the_verdict_names():
    (margin, score) = falls.view(evidence()).sides
    assert [(row.against, row.n) for row in margin.rows if row.deciding] == [("benign-tuned model", 32)]
    assert not [row for row in score.rows if row.deciding]


def test_no_row_decides_an_inconclusive_run():
    verdict = {"verdict": {**RUN.records()["verdict"]["verdict"], "label": "inconclusive"}}
    found = evidence(verdict=verdict)
    assert not [row for side in falls.view(found).sides for row in side.rows if row.deciding]
    assert not [row for side in undone.view(found).sides for row in side.rows if row.deciding]


def test_both_rebound_verdicts_stand_side_by_side_also_where_they_contradict():
    assert rebound.heading(evidence()) == "The behaviour springs back. The distribution does not return to the start"


def test_two_readings_that_cannot_tell_are_one_heading():
    axes = {key: {**body, "verdict": "cannot tell"} for key, body in RUN.records()["axis"].items()}
    assert rebound.heading(evidence(axis=axes)) == "This run cannot tell whether behaviour or distribution come back"


def test_a_verdict_in_other_words_is_still_said():
    axes = {"rebound_distribution": {"verdict": "wanders"}}
    assert rebound.heading(evidence(axis=axes)) == "Rebound of distribution: wanders"


def test_a_share_beyond_a_quarter_of_the_data_says_that_it_does_not_count():
    (margin, _) = undone.view(evidence()).sides
    outcomes = {(row.size, row.n): row.outcome for row in margin.rows}
    nb = "\u00a0"
    assert outcomes[f"N{nb}={nb}64", f"n{nb}={nb}128"] == "at least half; n > N/4"
    assert outcomes[f"N{nb}={nb}256", f"n{nb}={nb}32"] == "at least half"


def test_a_gain_that_includes_0_has_one_row_without_a_share():
    sides = undone.view(evidence(Example(sizes=(16, 256), samples=1, pairs=1))).sides
    rows = [row for row in sides[1].rows if row.size.endswith("16")]
    assert [row.n for row in rows] == ["any n"]
    assert "ht" in rows[0].bar
    assert "includes 0" in rows[0].outcome


def test_a_share_far_beyond_the_scale_is_an_arrow_and_keeps_its_number():
    contrasts = dict(RUN.records()["contrast"])
    name = "margin/undone/main/256/32/0"
    far = {**contrasts[name]["value"], "estimate": 9.15, "low": 7.0, "high": 12.0}
    (margin, _) = undone.view(evidence(contrast={**contrasts, name: {**contrasts[name], "value": far}})).sides
    row = next(row for row in margin.rows if row.deciding)
    assert "M186 13l-7 -5v10z" in row.bar
    assert "9.15" in row.value


def test_advice_follows_the_labels_and_a_run_without_a_verdict_gets_none():
    said = [row.axis for row in advice.met(evidence())]
    assert said == ["verdict", "rebound_distribution"]
    assert advice.met(Evidence({}, {})) == ()


@pytest.mark.parametrize("label", ["springs_back", "holds", "not_aligned", "inconclusive"])
def test_every_label_of_a_verdict_has_advice(label):
    verdict = {"verdict": {**RUN.records()["verdict"]["verdict"], "label": label}}
    first, *_ = advice.met(evidence(verdict=verdict))
    assert first.axis == "verdict"
