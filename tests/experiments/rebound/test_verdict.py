"""What a rebound run says in words."""

import pytest

from springback.experiments.rebound.verdict import returning, rule
from springback.stats.measured import Measured, unmeasured


def back(kl=0.05, low=0.04, high=0.06, examples=32, steps=4, reached=False, why=None):
    measured = Measured(kl, low, high, 0.95, 48, "prompts", "bit/token")
    return {"kl": measured.json(), "examples": examples, "steps": steps, "reached": reached, "why": why}


def told(label="springs_back", reportable=True, varied=None, **more):
    ruled = {"label": label, "headline": f"It {label}.", "sentence": "A sentence.", "reportable": reportable,
             "why": None if reportable else "AUC 0.5", "varied": varied or {}, "tests": []}  # fmt: skip
    return {"sweep": ruled, "closest_return": back(**more)}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (back(), "is not met at ε = 0.01 bit/token: the nearest to the start is at a KL of 0.050 [0.040, 0.060], "
                 "after 32 examples in 4 steps."),
        (back(reached=True, kl=0.005, low=0.004, high=0.006, examples=8, steps=1),
         "is met at ε = 0.01 bit/token: the KL from the start comes down to 0.005 [0.004, 0.006] after 8 examples in "
         "1 step."),
        (back(examples=1, steps=1), "after 1 example in 1 step."),
        (back(examples=0, steps=0), "no reversed model is nearer to the start than the aligned one, at 0.050"),
        (back(reached=None, why="the interval of the closest point holds ε"),
         "cannot be decided at ε = 0.01 bit/token: the interval of the closest point holds ε "
         "(closest KL from the start 0.050 [0.040, 0.060], after 32"),
        (back(reached=None, why="x", examples=0, steps=0), "(closest KL from the start 0.050 [0.040, 0.060], at the "
         "aligned model)."),
        (back(examples=12_000, steps=1500), "after 12,000 examples in 1,500 steps."),
    ],
)  # fmt: skip
def test_definition_3_6_is_one_sentence_with_what_it_cost(found, sentence):
    assert sentence in returning(found, 0.01)


def test_a_return_that_was_not_measured_says_why():
    found = {"kl": unmeasured("nobody read it").json(), "examples": None, "steps": None, "reached": None, "why": "x"}
    assert returning(found, 0.01) == "Definition 3.6 cannot be decided at ε = 0.01 bit/token: nobody read it."


def test_one_sweep_speaks_for_itself():
    found = rule({"00": told()}, 0.01)
    assert found["sentence"].startswith("A sentence. Definition 3.6 is not met")
    assert "sweeps" not in found["sentence"]
    assert (found["label"], found["headline"]) == ("springs_back", "It springs_back.")


def test_of_several_sweeps_the_first_ones_verdict_stands_and_the_sentence_says_whose_it_is():
    first = told("inconclusive", varied={"align_mix": 0, "reverse_with": "plain"})
    found = rule({"00-a": first, "01-b": told("not_aligned"), "02-c": told("inconclusive")}, 0.01)
    assert found["label"] == "inconclusive"
    assert found["labels"] == {"00-a": "inconclusive", "01-b": "not_aligned", "02-c": "inconclusive"}
    assert found["sentence"].endswith(
        "This is the first of 3 sweeps (align mix 0, reverse with plain); all together: 2 inconclusive, 1 not aligned."
    )


def test_what_the_first_sweep_may_not_be_quoted_for_neither_may_the_run():
    found = rule({"00": told(reportable=False), "01": told()}, 0.01)
    assert (found["reportable"], found["why"]) == (False, "AUC 0.5")
    assert rule({"00": told(), "01": told(reportable=False)}, 0.01)["reportable"]


def test_whether_it_returned_stands_beside_the_tolerance():
    assert rule({"00": told(reached=True)}, 0.07)["definition_3_6"] == {"reached": True, "why": None, "tolerance": 0.07}
