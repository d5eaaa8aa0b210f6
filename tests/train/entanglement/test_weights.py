"""d_w and d_l of losses that the package does not know, by differences, and what is carried through to them."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from springback.train.entanglement import gradient_weights
from springback.train.entanglement.weights import token_weights
from springback.train.preference import DPO, Both, BothByToken, PairLogprobs

REFERENCE = PairLogprobs(torch.tensor([-13.0, -4.0]).double(), torch.tensor([-14.2, -4.0]).double())
LENGTHS = Both(torch.tensor([3.0, 1.0]).double(), torch.tensor([2.0, 4.0]).double())


def tokens():
    draw = torch.Generator().manual_seed(0)
    chosen, rejected = (
        -torch.rand(2, 3, generator=draw).double() - 0.1,
        -torch.rand(2, 4, generator=draw).double() - 0.1,
    )
    chosen[1, 1:], rejected[0, 2:] = 0, 0
    return BothByToken(chosen, rejected)


def policy():
    by = tokens()
    return PairLogprobs(by.chosen.sum(1), by.rejected.sum(1), tokens=LENGTHS, by_token=by)


def differences(loss, reference, eps=1e-6):
    """Central differences in both numbers."""
    found = []
    for side in ("chosen", "rejected"):
        values = []
        for sign in (eps, -eps):
            moved = PairLogprobs(policy().chosen, policy().rejected, tokens=LENGTHS, by_token=tokens())
            object.__setattr__(moved, side, getattr(moved, side) + sign)
            values.append(loss(moved, reference))
        found.append((values[0] - values[1]) / (2 * eps))
    return -found[0], found[1]


def outside(policy, reference):
    """Nobody registered this one: a length-normalised hinge with a quadratic anchor."""
    assert reference is None
    return F.softplus(policy.mean.rejected - 2 * policy.mean.chosen) + 0.1 * policy.chosen**2


def only_rejected(policy, reference):
    return -F.logsigmoid(-(policy.rejected - reference.rejected))


@pytest.mark.parametrize(
    ("loss", "reference"), [(DPO(beta=0.3), REFERENCE), (outside, None), (only_rejected, REFERENCE)]
)
def test_any_callable_has_the_weights_of_its_differences(loss, reference):
    expected = differences(loss, reference)
    assert_close(tuple(gradient_weights(loss, policy(), reference)), expected, atol=1e-8, rtol=1e-6)


def test_a_loss_that_forgets_the_chosen_answer_has_no_weight_there():
    assert_close(gradient_weights(only_rejected, policy(), REFERENCE).chosen, torch.zeros(2).double())


def test_a_sum_s_weight_is_every_token_s_and_padding_has_none():
    d = gradient_weights(DPO(beta=0.3), policy(), REFERENCE)
    by = token_weights(DPO(beta=0.3), policy(), REFERENCE)
    assert_close(by.chosen, d.chosen[:, None] * torch.tensor([[1, 1, 1], [1, 0, 0]]).double())
    assert_close(by.rejected, d.rejected[:, None] * torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).double())


def masked(policy, reference):
    """Counts an answer's first token twice and its second half."""
    weight = torch.tensor([2.0, 0.5, 1, 1]).double()
    return -F.logsigmoid((policy.by_token.chosen * weight[:3]).sum(1) - (policy.by_token.rejected * weight).sum(1))


def test_a_loss_of_tokens_has_weights_by_token_and_their_mean():
    by, d = token_weights(masked, policy()), gradient_weights(masked, policy())
    margin = (tokens().chosen * torch.tensor([2.0, 0.5, 1])).sum(1) - (
        tokens().rejected * torch.tensor([2.0, 0.5, 1, 1])
    ).sum(1)
    s = torch.sigmoid(-margin)
    assert_close(by.chosen, s[:, None] * torch.tensor([[2, 0.5, 1], [2, 0, 0]]).double())
    assert_close(by.rejected, s[:, None] * torch.tensor([[2, 0.5, 0, 0], [2, 0.5, 1, 1]]).double())
    assert_close(d.chosen, s * torch.tensor([3.5 / 3, 2]).double())
    assert_close(d.rejected, s * torch.tensor([2.5 / 2, 4.5 / 4]).double())


def test_without_lengths_an_answer_ends_at_its_last_uncertain_token():
    bare = PairLogprobs(policy().chosen, policy().rejected, by_token=tokens())
    assert_close(tuple(token_weights(DPO(), bare, REFERENCE)), tuple(token_weights(DPO(), policy(), REFERENCE)))


def test_a_running_graph_and_no_grad_do_not_matter():
    with torch.no_grad():
        quiet = gradient_weights(DPO(), policy(), REFERENCE)
        by = token_weights(DPO(), policy(), REFERENCE)
    leaf = policy().chosen.requires_grad_()
    live = gradient_weights(DPO(), PairLogprobs(leaf * 1, policy().rejected), REFERENCE)
    assert_close(quiet.chosen, live.chosen)
    assert_close(by.chosen[:, 0], quiet.chosen)
    assert leaf.grad is None


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda policy, reference: policy.chosen.mean(), "one value for each of 2 pairs"),
        (lambda policy, reference: policy.chosen.detach(), "neither log-probability"),
    ],
)
def test_what_is_no_loss_of_pairs_is_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        gradient_weights(loss, policy(), REFERENCE)


def test_weights_by_token_need_tokens():
    with pytest.raises(ValueError, match="by_token"):
        token_weights(DPO(), PairLogprobs(policy().chosen, policy().rejected), REFERENCE)
