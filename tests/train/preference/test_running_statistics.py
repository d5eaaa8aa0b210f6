"""Statistics are fields: `after` gives the method of the next step, and what its fields say is all there is of it."""

from dataclasses import asdict

import pytest
import torch
from tests.laws.family import Numbers, inputs
from torch.testing import assert_close

from springback.train.preference.alpha_dpo import SMALLEST, AlphaDPO
from springback.train.preference.beta_dpo import BetaDPO
from springback.train.preference.dpo_shift import DPOShiftLinear

RUNNING = [AlphaDPO(), BetaDPO(), DPOShiftLinear(steps=3)]


def batch(*margins: float) -> Numbers:
    """Pairs with a = the margin and b = 0, two tokens each."""
    count, rejected = len(margins), torch.full((len(margins),), -60.0).double()
    chosen, tokens = torch.tensor(margins).double() - 50, torch.full((count,), 2.0).double()
    return Numbers(chosen, rejected, torch.full_like(chosen, -50.0), rejected, tokens, tokens)


BATCHES = [batch(1.0, 3.0), batch(-2.0, 0.5), batch(4.0, 4.0)]


@pytest.mark.parametrize("method", RUNNING, ids=lambda of: type(of).__name__)
def test_a_method_made_anew_from_its_fields_goes_on_as_if_nothing_had_happened(method):
    through = method
    for pairs in BATCHES:
        through = through.after(*inputs("", pairs))
    again = type(method)(**asdict(method.after(*inputs("", BATCHES[0]))))
    for pairs in BATCHES[1:]:
        again = again.after(*inputs("", pairs))
    assert again == through != method


def test_the_mean_of_beta_dpo_is_a_running_mean_of_the_margins():
    # 0.9·0 + 0.1·2 = 0.2, then 0.9·0.2 + 0.1·(−0.75) = 0.105
    first = BetaDPO().after(*inputs("", BATCHES[0]))
    assert first.mean == pytest.approx(0.2)
    assert first.after(*inputs("", BATCHES[1])).mean == pytest.approx(0.105)


def test_beta_grows_with_a_batch_above_the_mean_and_not_with_its_own_mean():
    method = BetaDPO(alpha=0.5)
    above = method(*inputs("", batch(2.0)))
    assert_close(above, torch.nn.functional.softplus(torch.tensor([-0.1 * (1 + 0.5 * 2) * 2.0]).double()))
    at_its_mean = BetaDPO(alpha=0.5, mean=2.0)(*inputs("", batch(2.0)))
    assert_close(at_its_mean, torch.nn.functional.softplus(torch.tensor([-0.1 * 2.0]).double()))


def test_the_statistics_of_alpha_dpo_are_running_ones_per_token():
    # margins per token 0.5 and 1.5: mean 1, deviation √½; momentum 0.9
    found = AlphaDPO().after(*inputs("", BATCHES[0]))
    assert found.mean == pytest.approx(0.1)
    assert found.deviation == pytest.approx(0.9 + 0.1 * 0.5**0.5)


def test_a_batch_of_one_leaves_the_deviation_and_identical_pairs_never_make_it_0():
    assert AlphaDPO(deviation=0.7).after(*inputs("", batch(3.0))).deviation == pytest.approx(0.7)
    flat = AlphaDPO(momentum=0.0).after(*inputs("", batch(4.0, 4.0)))
    assert flat.deviation == SMALLEST
    assert flat(*inputs("", batch(4.0, 4.0))).isfinite().all()


def test_statistics_carry_no_gradient():
    policy, reference = inputs("", BATCHES[0])
    policy.chosen.requires_grad_()
    assert isinstance(AlphaDPO().after(policy, reference).mean, float)
    assert isinstance(BetaDPO().after(policy, reference).mean, float)


def test_the_linear_shift_ends_where_it_should():
    method = DPOShiftLinear(shift=0.5, shift_end=0.9, steps=2)
    seen = []
    for pairs in [*BATCHES, BATCHES[0]]:
        seen.append(method.now)
        method = method.after(*inputs("", pairs))
    assert seen == pytest.approx([0.5, 0.7, 0.9, 0.9])
