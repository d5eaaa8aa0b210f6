"""Every claim on planted points: where it is true it holds, where the opposite is true it fails and says so."""

import pytest
from tests.experiments.study.planted import diagnosis, point, points, prediction, predictions

from springback.experiments.study.claims import RULES, claims
from springback.experiments.study.readings import groups
from springback.experiments.study.table import rows

TRUE = [
    ("one_token", "dpo", "none", 1.0, -1.0), ("long_suffix", "dpo", "none", -1.0, -3.0),
    ("one_token", "dpop", "none", 2.0, 0.5), ("one_token", "dpo", "normalised", 1.0, -1.0),
    ("one_token", "dpo", "anchor", 1.0, -0.2),
]  # fmt: skip
FALSE = [
    ("one_token", "dpo", "none", -1.0, -1.5), ("long_suffix", "dpo", "none", 1.0, -1.0),
    ("one_token", "dpop", "none", -2.0, -3.0), ("one_token", "dpo", "normalised", -1.0, 1.0),
    ("one_token", "dpo", "anchor", 1.0, -5.0),
]  # fmt: skip


def told(made, *said, starts=()):
    of = groups(made)
    asked = predictions(*said)
    diagnosed = {body["data"]: body for body in starts}
    return dict(claims(of, diagnosed, asked, dict(rows(of, asked))))


@pytest.mark.parametrize("claim", ["overlap", "normalised", "dpop", "anchor"])
def test_a_claim_of_directions_holds_where_it_is_true_and_fails_where_the_opposite_is(claim):
    assert told(points(*TRUE))[claim]["outcome"] == "holds"
    failed = told(points(*FALSE))[claim]
    assert failed["outcome"] == "fails"
    assert failed["sentence"].startswith("Fails: of ")


def test_one_direction_against_it_is_enough_to_fail_and_one_open_one_to_leave_it_undecided():
    half = [*TRUE[:1], ("long_suffix", "dpo", "none", 1.0, -1.0)]
    assert told(points(*half))["overlap"]["outcome"] == "fails"
    still = [*TRUE[:1], ("long_suffix", "dpo", "none", 0.0, -1.0)]
    assert told(points(*still))["overlap"]["outcome"] == "undecided"


def test_what_a_study_has_no_rows_for_is_not_tested_and_every_rule_is_told():
    found = told(points(("film", "dpo", "none", 1.0, 0.0)))
    assert list(found) == list(RULES)
    assert {body["outcome"] for body in found.values()} == {"not_tested"}
    assert all(body["rule"] == RULES[name] for name, body in found.items())


def test_the_tests_of_all_claims_are_corrected_together():
    tests = [test for body in told(points(*TRUE)).values() for test in body["tests"] if "p_holm" in test]
    assert {test["of"] for test in tests} == {len(tests)} == {2 + 2 + 2 + 1}


def test_losses_of_the_margin_alone_are_held_against_each_other_after_the_first_step():
    plain = [("film", loss, "none", 1.0, -1.0) for loss in ("dpo", "ipo", "simpo")]
    said = [prediction("film", "dpo"), prediction("film", "ipo"), prediction("film", "simpo", margin_only=False)]
    found = told(points(*plain), *said)["one_condition"]
    assert found["outcome"] == "holds"
    assert [test["label"] for test in found["tests"]] == ["film: dpo, ipo"]
    assert len(found["beside"]) == 2
    made = points(*plain)
    made["film-ipo-none-0"] = point("film", "ipo", "none", 0, chosen=1.0, rejected=-1.0, first={"chosen": -1.0})
    apart = told(made, *said)["one_condition"]
    assert (apart["outcome"], apart["tests"][0]["estimate"]) == ("fails", 0.5)  # the rejected half agrees


def test_the_cosine_must_rise_from_set_to_set_by_more_than_its_interval():
    at = lambda *values, reach=0.01: [
        diagnosis(name, value, reach)
        for name, value in zip(("one_token", "short_suffix", "long_suffix"), values, strict=True)
    ]
    made = points(*TRUE)
    assert told(made, starts=at(-0.2, 0.4, 0.9))["cosine_with_overlap"]["outcome"] == "holds"
    assert told(made, starts=at(-0.2, 0.4, 0.3))["cosine_with_overlap"]["outcome"] == "fails"
    assert told(made, starts=at(-0.2, 0.4, 0.5, reach=0.3))["cosine_with_overlap"]["outcome"] == "undecided"


def test_the_condition_is_judged_by_rows_beside_a_guess_that_could_win():
    many = [(f"set{i}", "dpo", "none", -1.0 if i % 4 else 1.0, -3.0) for i in range(12)]
    right = [prediction(data, "dpo", falls=float(chosen < 0)) for data, *_, chosen, _ in many]
    found = told(points(*many), *right)["condition"]
    assert found["outcome"] == "holds"
    assert found["tests"][0]["always_the_more_frequent"] == 0.75
    wrong = [prediction(data, "dpo", falls=float(chosen > 0)) for data, *_, chosen, _ in many]
    assert told(points(*many), *wrong)["condition"]["outcome"] == "fails"
