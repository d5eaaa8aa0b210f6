"""A loss by name: ours in any spelling, with options in text; the user's from a file or a module."""

from dataclasses import fields

import pytest
import torch

from springback.errors import RefusedError
from springback.train.entanglement import gradient_weights
from springback.train.preference import DPO, LOSSES, PairLogprobs, spelling
from springback.train.preference.choose import loss_named, made
from springback.train.preference.dpo_shift import DPOShiftLinear
from springback.train.preference.method import Method
from springback.train.preference.own import Own
from springback.train.preference.robust_dpo import RobustDPO
from springback.train.preference.rpo import RPO
from springback.train.preference.simpo import SimPO
from springback.train.preference.slic_hf import SLiCHF

PAIR = PairLogprobs(torch.tensor([-1.0]), torch.tensor([-2.0]))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_found_by_its_name(name):
    assert loss_named(name) == LOSSES[name]()


@pytest.mark.parametrize(("text", "found"), [
    ("simpo:beta=2,gamma=1", SimPO(beta=2.0, gamma=1.0)),
    ("dpo_shift_linear:shift=0.6,steps=7", DPOShiftLinear(shift=0.6, steps=7)),
    ("Robust-DPO", RobustDPO()), ("robust", RobustDPO()), ("slic", SLiCHF()), ("irpo", RPO()),
    ("rpo:alpha=0.5", RPO(nll=0.5)), ("robust:epsilon=0.2", RobustDPO(label_smoothing=0.2)),
    ("sigmoid: beta = 0.3 ", DPO(beta=0.3)),
])  # fmt: skip
def test_other_spellings_and_options_in_text_are_read(text, found):
    assert loss_named(text) == found


def test_a_name_from_elsewhere_stands_for_one_loss_only():
    squeezed = [spelling.squeezed(name) for name in (*spelling.MEMBERS, *LOSSES)]
    assert len(squeezed) == len(set(squeezed))
    assert set(spelling.MEMBERS.values()) <= set(LOSSES)
    for name, others in spelling.OPTIONS.items():
        known = {field.name for field in fields(LOSSES[name])}
        assert set(others.values()) <= known
        assert not set(others) & known


@pytest.mark.parametrize(("text", "says", "todo"), [
    ("dppo", "dppo is no loss", "Did you mean dp"),
    ("simpo2:beta=1", "simpo2:beta=1 is no loss", "Did you mean simpo"),
    ("dpo:bta=0.1", "no option bta", "Did you mean beta"),
    ("dpo:label_smoothing=0.1", "no option label_smoothing", "Options of dpo: beta"),
    ("simpo_ratio:gamma=1", "no option gamma", "gamma_beta_ratio"),
    ("simpo:gamma_beta_ratio=1", "no option gamma_beta_ratio", "gamma"),
    ("dpo:beta", "name=value, got beta", "dpo:beta=0.1"),
    ("dpo:beta=1,beta=2", "beta is given twice", "colon"),
    ("dpo:beta=much", "beta must be a number, got much", "beta"),
    ("dpo_shift_linear:steps=1.5", "steps must be a whole number, got 1.5", "steps"),
    ("dpo:beta=-1", "beta must be a number > 0, got -1", "beta"),
    ("exo:label_smoothing=0", "label_smoothing must be in (0, 0.5), got 0", "label_smoothing"),
    ("discopop:tau=-1", "tau must be a number > 0, got -1", "tau"),
    ("nowhere.py", "There is no file nowhere.py", "module:function"),
    ("no_such_module:loss", "cannot be imported", "module:function"),
])  # fmt: skip
def test_what_is_not_there_is_refused_with_what_is(text, says, todo):
    with pytest.raises(RefusedError) as caught:
        loss_named(text)
    assert says in caught.value.message
    assert todo in caught.value.next
    assert caught.value.kind == "option"


def test_one_option_under_two_names_is_refused():
    with pytest.raises(RefusedError, match="nll is given twice"):
        made("rpo", {"nll": "1", "alpha": "1"})


def test_a_function_of_the_users_is_a_method_and_needs_no_registration(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def loss(policy, reference):\n    return 3 * policy.rejected - policy.chosen\n")
    method = loss_named(str(path))
    assert isinstance(method, Method)
    assert isinstance(method, Own)
    assert method.needs == {"pairs", "reference", "lengths"}
    assert method.paper is None
    weights = gradient_weights(method, PAIR, PAIR)
    assert (weights.chosen.item(), weights.rejected.item()) == (1.0, 3.0)


def test_a_users_function_may_say_what_it_needs(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def loss(policy, reference):\n    return -policy.chosen\nloss.needs = {'pairs'}\n")
    assert loss_named(str(path)).needs == {"pairs"}
    path.write_text("def loss(policy, reference):\n    return -policy.chosen\nloss.needs = {'magic'}\n")
    with pytest.raises(RefusedError, match="got magic"):
        loss_named(str(path))


def test_a_users_method_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from springback.train.preference import DPO\nloss = DPO(beta=0.7)\n")
    assert loss_named(str(path)) == DPO(beta=0.7)
    path.write_text("from springback.train.preference import DPO as loss\n")
    assert loss_named(str(path)) == DPO()


def test_a_function_that_gives_no_value_per_pair_is_told_so(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def loss(policy, reference):\n    return policy.chosen.mean()\n")
    with pytest.raises(ValueError, match=r"one value per pair, got shape \(\)"):
        loss_named(str(path))(PAIR, PAIR)
