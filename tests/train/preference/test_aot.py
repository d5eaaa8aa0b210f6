from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.family import Numbers, losses, numbers
from tests.train.preference.the_point import tensor
from torch.testing import assert_close

from springback.train.preference.aot import AOT, AOTUnpaired
from springback.train.preference.dpo import DPO
from springback.train.preference.pairs import PairLogprobs

both = pytest.mark.parametrize("method", [AOT(), AOTUnpaired()], ids=str)


def shuffled(batch: Numbers, order: torch.Tensor) -> Numbers:
    return Numbers(*(getattr(batch, name)[order] for name in Numbers.__slots__))


@both
@given(batch=numbers)
def test_alone_a_pair_has_dpo_s_loss(method, batch):
    assert_close(losses("", batch.pair(0), method), losses("", batch.pair(0), DPO()))


@both
@given(batch=numbers)
def test_values_follow_their_pairs_when_a_batch_is_shuffled(method, batch):
    order = torch.tensor([2, 0, 3, 1])
    assert_close(losses("", shuffled(batch, order), method).sort()[0], losses("", batch, method).sort()[0])
    if len(set((batch.chosen - batch.ref_chosen).tolist())) == len(set((batch.chosen - batch.rejected).tolist())) == 4:
        assert_close(losses("", shuffled(batch, order), method), losses("", batch, method)[order])


@given(batch=numbers)
def test_unpaired_the_rank_order_is_the_cheapest_transport_of_all(batch):
    # the claim of §3: for a convex cost of the difference, sorting both sides solves the one-dimensional problem
    a, b = batch.chosen - batch.ref_chosen, batch.rejected - batch.ref_rejected
    every = [-F.logsigmoid(0.1 * (a - b[list(order)])).sum().item() for order in permutations(range(len(b)))]
    assert losses("", batch, AOTUnpaired()).sum().item() == pytest.approx(min(every), rel=1e-12)


@given(batch=numbers)
def test_unpaired_it_does_not_matter_whose_prompt_a_rejected_answer_has(batch):
    turned = Numbers(
        batch.chosen,
        batch.rejected.roll(1),
        batch.ref_chosen,
        batch.ref_rejected.roll(1),
        batch.chosen_tokens,
        batch.rejected_tokens.roll(1),
    )
    assert_close(losses("", turned, AOTUnpaired()), losses("", batch, AOTUnpaired()))


def test_known_values_of_a_batch_that_crosses():
    # margins 3, −1 against 1, 2 in rank order: 3 − 2 = 1 and −1 − 1 = −2, where DPO has 3 − 1 and −1 − 2
    policy, reference = PairLogprobs(tensor(3, -1), tensor(0, 0)), PairLogprobs(tensor(1, 2), tensor(0, 0))
    assert_close(AOT(beta=1.0)(policy, reference), F.softplus(tensor(-1, 2)))
    assert_close(DPO(beta=1.0)(policy, reference), F.softplus(tensor(-2, 3)))


@given(st.floats(0.51, 1.0))
def test_refuses_more_than_half_of_the_labels_wrong(share):
    with pytest.raises(ValueError, match="label_smoothing must be"):
        AOT(label_smoothing=share)
