"""A loss of the preference family as a way of tuning."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from springback.models.rows import Row, RowPair
from springback.models.tiny import tiny
from springback.train.pair_logprobs import pair_logprobs
from springback.train.preference import LOSSES
from springback.train.tuning.preference import Preference, pair_of


def paired(index: int) -> Row:
    prompt = (5, 6, 7 + index)
    return Row(prompt, (20 + index, 21, 2), 1, 2, Row(prompt, (30, 31 + index, 32, 2), 1, 3))


ROWS = [paired(index) for index in range(12)]


@pytest.fixture(scope="module")
def network():
    return tiny().network.double().requires_grad_()


@pytest.mark.parametrize("name", ["dpo", "tdpo2"])
def test_the_first_batch_of_a_chain_stands_at_its_own_reference(network, name):
    loss = Preference(LOSSES[name]())(network, ROWS, ())
    found = loss(network, ROWS[:4])
    assert found.total.item() == pytest.approx(4 * math.log(2), abs=1e-9)
    assert (found.weight, found.tokens) == (4, 4 * (3 + 4))


def test_a_row_is_chosen_and_its_other_answer_rejected(network):
    # reference-free, so the loss is the formula at this network's own log-probabilities
    method = LOSSES["simpo"]()
    (found,) = (Preference(method)(network, ROWS, ())(network, ROWS[3:4]),)
    policy = pair_logprobs(network, [RowPair(ROWS[3], ROWS[3].other)], method.needs)
    assert_close(found.total, method(policy).sum())
    assert_close(found.total.detach(), -torch.nn.functional.logsigmoid(method.beta * (policy.mean.chosen - policy.mean.rejected) - method.gamma).sum().detach())  # fmt: skip  # noqa: E501


def test_rows_that_compare_equal_keep_their_own_partners(network):
    """Two rows with the same answer and other partners: looked up by place, not by value."""
    twin = replace(ROWS[0], other=Row(ROWS[0].prompt, (40, 2), 1, 1))
    assert twin == ROWS[0]
    loss = Preference(LOSSES["simpo"]())(network, [ROWS[0], twin], ())
    assert loss(network, [ROWS[0]]).total.item() != loss(network, [twin]).total.item()


def test_a_row_without_its_other_answer_is_no_pair():
    with pytest.raises(ValueError, match="came without"):
        pair_of(Row((1,), (2,), 1, 1))
