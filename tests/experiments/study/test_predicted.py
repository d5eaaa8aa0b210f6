"""What the condition says from stored numbers: known values, and a real step of plain descent on one pair."""

import pytest
import torch
from tests.experiments.study.small import SMALL

from springback.data.choices import Choice
from springback.data.records import Message
from springback.experiments.study.diagnosis import Start
from springback.experiments.study.predicted import predicted
from springback.models.pair_tokens import item_of
from springback.train.pair_logprobs import pair_logprobs

CASE_2 = {"ww": [1.0, 4.0, 4.0], "ll": [4.0, 1.0, 1.0], "wl": [1.8, 0.5, -0.5], "chosen": [-3.0] * 3,
          "rejected": [-4.0] * 3, "chosen_tokens": [2.0] * 3, "rejected_tokens": [2.0, 4.0, 4.0]}  # fmt: skip
"""A pair of case 2 (its chosen answer falls by equal pushes), and two ideal ones."""


def test_equal_pushes_let_the_chosen_answer_of_case_2_fall():
    body = predicted("dpo:beta=0.2", "none", CASE_2, batch=8)
    assert body["d_w"] == body["d_l"] == pytest.approx([0.1] * 3)  # β/2 at the reference
    assert body["changes"]["chosen"] == pytest.approx([0.1 * (1 - 1.8), 0.1 * (4 - 0.5), 0.1 * (4 + 0.5)])
    assert body["changes"]["rejected"] == pytest.approx([0.1 * (1.8 - 4), 0.1 * (0.5 - 1), 0.1 * (-0.5 - 1)])
    shares = {name: body[name]["estimate"] for name in ("chosen_falls", "rejected_rises", "margin_shrinks")}
    assert shares == {"chosen_falls": pytest.approx(1 / 3), "rejected_rises": 0.0, "margin_shrinks": 0.0}
    assert body["same_pull"]
    assert body["margin_only"]


def test_losses_of_the_margin_alone_are_told_the_same_and_others_are_not():
    say = lambda loss: [value < 0 for value in predicted(loss, "none", CASE_2, batch=8)["changes"]["chosen"]]
    assert say("dpo") == say("ipo") == say("hinge") == [True, False, False]
    simpo = predicted("simpo", "none", CASE_2, batch=8)
    assert not simpo["same_pull"]
    assert not simpo["margin_only"]


def test_normalised_pushes_never_let_it_fall_and_an_anchor_pushes_by_its_length():
    norms = predicted("dpo", "normalised", CASE_2, batch=8)
    assert all(value > 0 for value in norms["changes"]["chosen"])
    assert all(value < 0 for value in norms["changes"]["rejected"])
    anchored = predicted("dpo:beta=0.2", "anchor:weight=3", CASE_2, batch=8)
    assert anchored["d_w"] == pytest.approx([0.1 + 3 / 2] * 3)
    assert predicted("dpo", "normalised:inner=adam", CASE_2, batch=8)["note"]


@pytest.mark.parametrize(
    ("loss", "cure", "word"),
    [("dpo", "differing", "weighs tokens"), ("wpo", "none", "Σ π²"), ("sampo", "none", "token")],
)
def test_what_two_numbers_a_pair_do_not_describe_is_not_predicted_but_named(loss, cure, word):
    assert word in predicted(loss, cure, CASE_2, batch=8)["why"]


@pytest.mark.parametrize("loss", ["dpo", "simpo", "apo_zero"])
def test_a_small_step_of_plain_descent_on_a_pair_alone_does_what_was_predicted(loss):
    """The reference is the network itself, stepped by autograd on the loss."""
    from springback.train.preference.choose import loss_named

    study = SMALL(losses=(loss,), cures=("none",))
    start = Start(study, study.design(study.combinations()[0], "a", "b"))
    row = Choice((Message("user", "Was it good?"),), "It was a joy.", "No, a waste of time.", "made:1")
    body = predicted(loss, "none", start.diagnosed([row, row], 0)["columns"], batch=8)
    model = start.model(0)
    network, pair, method, rate = model.network, item_of(model, row), loss_named(loss), 1e-4
    before = pair_logprobs(network, [pair], method.needs)
    fixed = type(before)(before.chosen.detach(), before.rejected.detach(), tokens=before.tokens)
    method(before, fixed).sum().backward()
    with torch.no_grad():
        for weight in network.parameters():
            weight.sub_(rate * weight.grad)
        after = pair_logprobs(network, [pair])
    for side in ("chosen", "rejected"):
        measured = float(getattr(after, side) - getattr(fixed, side)) / rate
        assert measured == pytest.approx(body["changes"][side][0], rel=0.05)
