import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.train.preference.the_point import tensor
from torch.testing import assert_close

from springback.train.preference.bco import BCO, BCOBatch, BCOPair, matching_weights
from springback.train.preference.dpo import DPO
from springback.train.preference.labelled import LabelledLogprobs
from springback.train.preference.pairs import PairLogprobs

ratios = st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=2, max_size=6)


def pairs(found: list[tuple[float, float]]) -> PairLogprobs:
    return PairLogprobs(*(torch.tensor(side, dtype=torch.float64) for side in zip(*found, strict=True)))


def reference_of(batch: PairLogprobs) -> PairLogprobs:
    return PairLogprobs(torch.zeros_like(batch.chosen), torch.zeros_like(batch.rejected))


def labelled(logprob: torch.Tensor, wanted: list[bool], weights: torch.Tensor | None = None) -> LabelledLogprobs:
    return LabelledLogprobs(logprob, torch.tensor(wanted), weights=weights)


@given(ratios)
def test_two_steps_have_seen_what_one_large_batch_has(found):
    first, rest = pairs(found[:1]), pairs(found[1:])
    method = BCO().after(first, reference_of(first))
    whole = pairs(found)
    assert_close(method(rest, reference_of(rest)), BCO()(whole, reference_of(whole))[1:])
    assert method.after(rest, reference_of(rest)).wanted_count == len(found)


@given(ratios)
def test_it_bounds_dpo_from_above(found):
    # Theorem 1 of the paper: −log σ(x + y) ≤ −log σ(x) − log σ(y), whatever δ is
    batch = pairs(found)
    for method in (BCO(), BCOBatch(), BCOPair(), BCO(0.1, 2.0, 3.0, -5.0, 1.0)):
        assert (method(batch, reference_of(batch)) >= DPO(0.1)(batch, reference_of(batch))).all()


def test_its_statistics_survive_a_checkpoint():
    batch = pairs([(1.0, -2.0), (3.0, 0.5)])
    method = BCO().after(batch, reference_of(batch))
    restored = BCO(**json.loads(json.dumps(dataclasses.asdict(method))))
    assert restored == method
    assert (method.wanted_mean, method.unwanted_mean) == pytest.approx((0.2, -0.075))


def test_the_batch_s_own_shift_forgets():
    batch = pairs([(1.0, -2.0)])
    assert not hasattr(BCOBatch(), "after")
    assert_close(BCOBatch()(batch, reference_of(batch)), BCO()(batch, reference_of(batch)))


def test_both_kinds_weigh_alike_in_the_shift_however_many_they_are():
    policy = labelled(tensor(4.0, 0.0, 0.0, 0.0), [True, False, False, False])
    reference = labelled(torch.zeros(4, dtype=torch.float64), [True, False, False, False])
    losses = BCO(beta=1.0)(policy, reference)  # δ = ½(4 + 0) = 2, not 4/4
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-2))] * 4)


def test_a_batch_of_one_kind_has_that_kind_s_mean_as_its_shift():
    policy, reference = labelled(tensor(3.0, 1.0), [True, True]), labelled(tensor(0.0, 0.0), [True, True])
    losses = BCO(beta=1.0)(policy, reference)  # δ = 2
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-1)), math.log1p(math.exp(1))])


def test_unwanted_examples_count_by_how_well_their_prompts_match():
    probability = tensor(0.5, 0.75, 0.01, 0.999)
    assert matching_weights(probability).tolist() == pytest.approx([1.0, 3.0, 0.5, 10.0])
    policy = labelled(tensor(0.0, 0.0), [True, False], weights=tensor(1.0, 3.0))
    reference = labelled(tensor(0.0, 0.0), [True, False])
    assert BCO()(policy, reference).tolist() == pytest.approx([math.log(2), 3 * math.log(2)])


def test_a_pair_is_the_sum_of_its_two_examples():
    batch, wanted = pairs([(1.0, -2.0)]), [True, False]
    apart = BCOPair()(labelled(tensor(1.0, -2.0), wanted), labelled(tensor(0.0, 0.0), wanted))
    assert_close(BCOPair()(batch, reference_of(batch)), apart.sum(dim=0, keepdim=True))
