import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.train.preference.the_point import tensor

from springback.train.preference.kto import KTO, KTOPair, Mismatch, mismatches
from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.on_pairs import per_pair
from springback.train.preference.pairs import PairLogprobs

REFERENCE = PairLogprobs(tensor(-13.0), tensor(-14.2), mismatched=tensor(0.0))


def point(z: float, *, chosen: float = -12.3) -> PairLogprobs:
    return PairLogprobs(tensor(chosen).requires_grad_(), tensor(-15.1).requires_grad_(), mismatched=tensor(z))


@pytest.mark.parametrize(("z", "value"), [(0.3, 0.48001864), (-5.0, 0.48001116), (0.0, 0.48001116)])
def test_a_pair_is_the_mean_of_its_two_examples(z, value):
    # research §9.1, run against TRL: ½[1 − σ(.1(.7 − .3)) + 1 − σ(.1(.3 + .9))]; a negative z counts as 0
    assert per_pair(KTO(), point(z), REFERENCE).item() == pytest.approx(value, abs=6e-9)


def test_slopes_at_the_point():
    seen = point(0.3)
    up, down = torch.autograd.grad(per_pair(KTO(), seen, REFERENCE).sum(), (seen.chosen, seen.rejected))
    assert (-up.item(), down.item()) == pytest.approx((0.01249500, 0.01245511), abs=6e-9)


def labelled(logprob: torch.Tensor, wanted: list[bool], mismatched: torch.Tensor) -> LabelledLogprobs:
    return LabelledLogprobs(logprob, torch.tensor(wanted), mismatched=mismatched)


def test_wanted_and_unwanted_examples_weigh_what_they_are_told_to():
    reference = labelled(tensor(0.0, 0.0), [True, False], tensor())
    at_the_reference = KTO(desirable_weight=1.5, undesirable_weight=0.5)(reference, reference)
    assert at_the_reference.tolist() == [0.75, 0.25]


def test_the_zero_point_is_a_mean_without_a_gradient():
    mismatched = tensor(3.0, -1.0).requires_grad_()
    policy = labelled(tensor(1.0), [True], mismatched)
    loss = KTO(beta=1.0)(policy, labelled(tensor(0.0), [True], tensor(0.0, 0.0)))
    assert loss.item() == pytest.approx(0.5)  # z = (3 − 1)/2 = 1, so r − z = 0
    assert not loss.requires_grad


def test_without_mismatched_answers_the_zero_point_is_zero_but_it_must_be_said():
    policy, reference = tensor(2.0), tensor(2.0)
    none = KTO()(labelled(policy, [True], tensor()), labelled(reference, [True], tensor()))
    assert none.item() == 0.5
    with pytest.raises(ValueError, match="`mismatched`"):
        KTO()(LabelledLogprobs(policy, torch.tensor([True])), LabelledLogprobs(reference, torch.tensor([True])))


@given(st.lists(st.integers(0, 3), max_size=9))
def test_no_answer_is_read_behind_its_own_prompt(prompts):
    found = mismatches(prompts)
    assert all(prompts[prompt] != prompts[answer] for prompt, answer in found)
    assert [prompt for prompt, _ in found] == (list(range(len(prompts))) if len(set(prompts)) > 1 else [])


def test_mismatched_answers_are_the_next_ones_round_the_batch():
    assert mismatches(["a", "b", "c"]) == [(0, 1), (1, 2), (2, 0)]  # odd: the last takes the first
    assert mismatches(["a", "a", "b"]) == [(0, 2), (1, 2), (2, 0)]  # both answers of a pair skip their own prompt
    assert mismatches(["a"]) == []
    assert mismatches(["a", "b"])[0] == Mismatch(prompt=0, answer=1)


def test_the_older_form_takes_the_zero_point_of_each_side_from_the_other():
    policy = PairLogprobs(tensor(2.0, 4.0), tensor(1.0, 0.0))
    reference = PairLogprobs(tensor(0.0, 0.0), tensor(0.0, 0.0))
    # mean a = 3, mean b = ½: pair 0 has a − ½ = 1.5 and 3 − b = 2
    expected = torch.sigmoid(tensor(-1.5)) / 2 + torch.sigmoid(tensor(-2.0)) / 2
    assert KTOPair(beta=1.0)(policy, reference)[0].item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("option", "value"), [("beta", 0.0), ("desirable_weight", -1.0), ("undesirable_weight", -1.0)])
def test_refuses_meaningless_settings(option, value):
    with pytest.raises(ValueError, match=rf"{option} must be .* got {value}"):
        KTO(**{option: value})
