"""Adam's metric of the step to come: the optimiser's own arithmetic, and inner products in it against autograd."""

import pytest
import torch
from tests.models.tiny_networks import network, tokens
from torch.testing import assert_close

from springback.fit.masters import MasterAdamW
from springback.models.rows import Row, RowPair
from springback.train.entanglement import inner_products
from springback.train.entanglement.by_token import token_marginals, token_matrix
from springback.train.entanglement.directional import directional
from springback.train.entanglement.plain import gradient
from springback.train.entanglement.preconditioner import BETA, EPS, Moments, NextAdamMetric, estimated, under
from springback.train.entanglement.stretches import Stretch

PAIRS = [
    RowPair(*(Row(tokens(4, n), tokens(length, seed), 1, 0) for length, seed in ((5, n + 20), (3 + n, n + 30))))
    for n in range(2)
]


def built(name="llama"):
    return network(name).double().requires_grad_(True)


def drawn(of, seed):
    made = torch.Generator().manual_seed(seed)
    return {name: torch.randn(weight.shape, dtype=torch.float64, generator=made) ** 3
            for name, weight in of.named_parameters()}  # fmt: skip


def stepped(of, optimizer, gradients, lr):
    for name, weight in of.named_parameters():
        weight.grad = gradients[name].clone()
    optimizer.step(lr=lr)
    of.zero_grad(set_to_none=True)


def loaded(of, moments):
    optimizer = MasterAdamW(of, betas=(0.0, BETA), eps=EPS)
    for slot in optimizer.slots:
        if slot.name in moments.second:
            slot.first, slot.second = torch.zeros_like(slot.master), moments.second[slot.name].clone()
            slot.steps.fill_(moments.steps[slot.name])
    return optimizer


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_step_of_the_optimiser_without_momentum_is_p_times_its_gradient(batches):
    of = built()
    moments = estimated(drawn(of, seed) for seed in range(batches))
    gradients, before = drawn(of, 9), {name: weight.detach().clone() for name, weight in of.named_parameters()}
    stepped(of, loaded(of, moments), gradients, 1e-3)
    expected = under(NextAdamMetric(moments, gradients), gradients)
    for name, weight in of.named_parameters():
        assert_close((weight.detach() - before[name]) / -1e-3, expected[name], rtol=1e-6, atol=1e-9)


def test_estimated_moments_are_those_of_an_optimiser_whose_weights_stand_still():
    of = built()
    optimizer, before = MasterAdamW(of), {name: weight.detach().clone() for name, weight in of.named_parameters()}
    for seed in range(3):
        stepped(of, optimizer, drawn(of, seed), 0.0)
    moments = estimated(drawn(of, seed) for seed in range(3))
    for slot in optimizer.slots:
        assert torch.equal(slot.weight, before[slot.name])
        assert_close(moments.second[slot.name], slot.second)
        assert moments.steps[slot.name] == float(slot.steps) == 3


def test_a_fresh_step_is_the_sign_of_the_gradient_and_a_weight_without_one_stays():
    metric = NextAdamMetric(Moments(), {"w": torch.tensor([2.0, -1e-3, 0.0]).double()})
    moved = under(metric, {"w": torch.tensor([2.0, -1e-3, 0.0]).double()})
    assert_close(moved["w"], torch.tensor([1.0, -1.0, 0.0]).double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["ghost", "plain"])
def test_products_in_it_are_those_of_whole_gradients(name, method):
    """GPT-2's embedding is its head, so the tied tensor's cross terms are in it too."""
    of = built(name)
    metric = NextAdamMetric(estimated([drawn(of, 1)]), drawn(of, 2))
    found = inner_products(of, PAIRS, method=method, metric=metric)
    names = [each for each, _ in of.named_parameters()]
    for pair, gram in zip(PAIRS, found.pairs, strict=True):
        chosen, rejected = (gradient(of, Stretch(row), names).tensors for row in (pair.chosen, pair.rejected))
        for key, (one, other) in {"ww": (chosen, chosen), "ll": (rejected, rejected), "wl": (chosen, rejected)}.items():
            expected = sum(float((one[each] * metric[each] * other[each]).sum()) for each in one)
            scale = (gram.ww * gram.ll) ** 0.5
            assert getattr(gram, key) == pytest.approx(expected, abs=1e-8 * scale), key


def test_a_metric_of_ones_is_the_euclidean_one():
    of = built()
    ones = {name: torch.ones_like(weight) for name, weight in of.named_parameters()}
    plain, same = (inner_products(of, PAIRS, metric=metric).pairs for metric in (None, ones))
    for one, other in zip(plain, same, strict=True):
        assert tuple(other.whole) == pytest.approx(tuple(one.whole), rel=1e-9)


def test_tokens_sum_to_the_product_in_the_same_metric():
    of = built()
    metric = NextAdamMetric(estimated([drawn(of, 1)]), drawn(of, 2))
    (gram,) = inner_products(of, PAIRS[:1], metric=metric).pairs
    found = token_marginals(of, PAIRS[0], metric=metric)
    tight = {"abs": 1e-6 * (gram.ww * gram.ll) ** 0.5}
    assert float(found.chosen.sum()) == pytest.approx(gram.wl, **tight)
    assert float(found.rejected.sum()) == pytest.approx(gram.wl, **tight)
    matrix = token_matrix(of, PAIRS[0], metric=metric)
    assert_close(matrix.sum(dim=1), found.chosen, rtol=1e-4, atol=tight["abs"])


def test_what_a_step_does_to_an_answer_is_its_product_with_the_whole_gradient():
    """⟨g_i, P(−∇L)⟩ with L = −log π of the first answer: the directional form and the metric's square agree."""
    of = built()
    names = [each for each, _ in of.named_parameters()]
    downhill = gradient(of, Stretch(PAIRS[0].chosen), names).tensors
    metric = NextAdamMetric(Moments(), downhill)
    (gram,) = inner_products(of, PAIRS[:1], metric=metric).pairs
    changes = directional(of, [PAIRS[0].chosen, PAIRS[0].rejected], under(metric, downhill))
    assert changes.tolist() == pytest.approx([gram.ww, gram.wl], rel=1e-6)
