import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.family import losses, numbers
from tests.train.preference.the_point import tensor
from torch.testing import assert_close

from springback.train.preference.dpo import DPO
from springback.train.preference.info_nca import InfoNCA, NCAList
from springback.train.preference.lipo import LiPO
from springback.train.preference.lists import ListLogprobs
from springback.train.preference.nca import NCA
from springback.train.preference.pro import PRO, PROPlain
from springback.train.preference.rrhf import RRHF, RRHFMean

MEMBERS = [RRHF(), RRHFMean(), PRO(), PROPlain(), LiPO(), InfoNCA(), NCAList()]
every_list_loss = pytest.mark.parametrize("method", MEMBERS, ids=str)
K = 4


def rows(low: float, high: float) -> st.SearchStrategy[torch.Tensor]:
    drawn = st.lists(st.floats(low, high, width=16), min_size=2 * K, max_size=2 * K)
    return drawn.map(lambda found: torch.tensor(found, dtype=torch.float64).reshape(2, K))


def of(logprobs: torch.Tensor, relevance: torch.Tensor, real: torch.Tensor | None = None) -> ListLogprobs:
    return ListLogprobs(logprobs, relevance, torch.arange(2.0, 2 + K, dtype=torch.float64).expand(2, K), real)


lists = st.builds(of, rows(-60, -1), rows(0, 3))


@every_list_loss
@given(policy=lists, reference=lists, garbage=st.floats(-1e4, 1e4))
def test_what_fills_a_short_list_up_changes_nothing(method, policy, reference, garbage):
    """Value and gradient of two lists of K, beside themselves filled up with answers that are not there."""

    def filled(batch: ListLogprobs) -> ListLogprobs:
        real = torch.ones(2, K + 2, dtype=torch.bool)
        real[:, K:] = False
        columns = (batch.logprobs, batch.relevance, batch.tokens)
        return ListLogprobs(*(F.pad(column, (0, 2), value=garbage) for column in columns), real)

    leaf = policy.logprobs.clone().requires_grad_()
    policy = replace(policy, logprobs=leaf, relevance=reference.relevance)
    plain, longer = method(policy, reference), method(filled(policy), filled(reference))
    assert_close(longer, plain)
    slopes = [torch.autograd.grad(loss.sum(), leaf, retain_graph=True)[0] for loss in (plain, longer)]
    assert_close(slopes[1], slopes[0])


@every_list_loss
@given(policy=lists, reference=lists, order=st.permutations(range(K)))
def test_the_order_in_which_a_list_is_written_does_not_matter(method, policy, reference, order):
    policy = replace(policy, relevance=tensor(0, 1, 2, 3).expand(2, K))

    def turned(batch: ListLogprobs) -> ListLogprobs:
        return ListLogprobs(batch.logprobs[:, order], batch.relevance[:, order], batch.tokens[:, order])

    if len(set((policy.logprobs - reference.logprobs).flatten().tolist())) == 2 * K:  # equal scores keep their order
        assert_close(method(turned(policy), turned(reference)), method(policy, reference))


@every_list_loss
def test_a_list_of_one_answer_compares_nothing(method):
    # what is left: its likelihood (RRHF), or its own classification against noise (NCA)
    one = ListLogprobs(tensor(-3.0)[:, None], tensor(1.0)[:, None], tensor(2.0)[:, None])
    left = {"RRHF": 3.0, "RRHFMean": 1.5, "NCAList": 2 * math.log(2)}
    assert method(one, one).item() == pytest.approx(left.get(type(method).__name__, 0.0))


@pytest.mark.parametrize("method", [LiPO(), InfoNCA(), PROPlain(nll=0.0)], ids=str)
@given(policy=lists, reference=lists)
def test_only_differences_within_a_list_count_so_its_slopes_sum_to_zero(method, policy, reference):
    leaf = policy.logprobs.clone().requires_grad_()
    seen = replace(policy, logprobs=leaf, relevance=reference.relevance)
    (slope,) = torch.autograd.grad(method(seen, reference).sum(), leaf)
    per_unit = slope * policy.tokens if isinstance(method, PROPlain) else slope
    assert_close(per_unit.sum(dim=1), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)


@given(numbers)
def test_two_answers_make_a_weighed_dpo_of_lipo(batch):
    weight = 1 / math.log(2) - 1 / math.log(3)
    assert_close(losses("", batch, LiPO(beta=0.3)), weight * losses("", batch, DPO(beta=0.3)))


@given(numbers)
def test_two_answers_and_a_cold_target_make_dpo_of_info_nca(batch):
    assert_close(losses("", batch, InfoNCA(beta=0.3, alpha=1e-3)), losses("", batch, DPO(beta=0.3)))


@given(numbers)
def test_two_answers_and_a_cold_target_make_the_pair_form_of_nca(batch):
    assert_close(losses("", batch, NCAList(beta=0.3, alpha=1e-3)), losses("", batch, NCA(beta=0.3)))


@given(policy=lists)
def test_without_temperatures_pro_is_the_likelihood_of_a_ranking(policy):
    """Plackett–Luce: all rankings of a list together have probability 1."""
    import itertools

    every = [
        replace(policy, relevance=torch.tensor(order, dtype=torch.float64).expand(2, K))
        for order in itertools.permutations(range(K))
    ]
    total = sum(torch.exp(-PROPlain(nll=0.0)(ranking, None)) for ranking in every)
    assert_close(total, torch.ones(2, dtype=torch.float64))


def test_equal_answers_cost_the_logarithm_of_the_rankings():
    equal = of(tensor(-2, -3, -4, -5).expand(2, K), tensor(3, 2, 1, 0).expand(2, K))  # one nat a token
    assert PROPlain(nll=0.0)(equal)[0].item() == pytest.approx(math.log(24))
    with_likelihood = math.log(24) + 0.05 * (4 - 1) ** 2 * 2  # the best has 2 nats in all
    assert PROPlain()(equal)[0].item() == pytest.approx(with_likelihood)


def test_a_list_in_the_right_order_has_nothing_but_its_likelihood():
    right = of(tensor(-2, -6, -8, -10).expand(2, K), tensor(9, 5, 5, 1).expand(2, K))  # −1, −2, −2, −2 a token
    assert RRHF()(right).tolist() == [2.0, 2.0]
    assert RRHFMean()(right).tolist() == [1.0, 1.0]


def test_lipo_weighs_by_the_ranks_that_the_policy_gives_now():
    # relevance (1, 0, 0); the best is scored last, so its pairs swap rank 3 with 1 and with 2
    reference = ListLogprobs(tensor(0, 0, 0)[None], tensor(1, 0, 0)[None])
    policy = replace(reference, logprobs=tensor(0, 2, 1)[None])
    d = [1 / math.log(1 + rank) for rank in (1, 2, 3)]
    expected = (d[0] - d[2]) * math.log1p(math.exp(2)) + (d[1] - d[2]) * math.log1p(math.exp(1))
    assert LiPO(beta=1.0)(policy, reference).item() == pytest.approx(expected)


def test_equal_scores_keep_the_list_s_order():
    at_the_reference = ListLogprobs(tensor(0, 0, 0)[None], tensor(0, 1, 0)[None])
    d = [1 / math.log(1 + rank) for rank in (1, 2, 3)]
    expected = ((d[0] - d[1]) + (d[1] - d[2])) * math.log(2)
    assert LiPO()(at_the_reference, at_the_reference).item() == pytest.approx(expected)


def test_info_nca_stops_at_its_target():
    # r = β log-ratio proportional to the relevance is where softmax(r) = softmax(rel/α)
    relevance = tensor(2, 1, 0)[None]
    leaf = (relevance / 0.5 / 0.1).requires_grad_()
    policy = ListLogprobs(leaf, relevance)
    loss = InfoNCA(beta=0.1, alpha=0.5)(policy, replace(policy, logprobs=torch.zeros_like(relevance)))
    assert_close(torch.autograd.grad(loss.sum(), leaf)[0], torch.zeros_like(relevance), atol=1e-12, rtol=0)


@every_list_loss
def test_nothing_overflows_far_away(method):
    leaf = tensor(-1e4, -1e4, -1.0, 0.0).expand(2, K).clone().requires_grad_()
    policy = of(leaf, tensor(3, 0, 1, 2).expand(2, K))
    loss = method(policy, of(torch.zeros(2, K, dtype=torch.float64), policy.relevance))
    (slope,) = torch.autograd.grad(loss.sum(), leaf)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(slope).all()
