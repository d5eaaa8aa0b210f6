"""The cure's coefficients, and the step that is made of them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.tiny_networks import tokens
from tests.train.entanglement.pairs import autograd, network, pair, pairs, shared
from torch.testing import assert_close

from springback.fit.loop import Fit, fit
from springback.fit.masters import MasterAdamW
from springback.train.entanglement import Grams, Products, Weights, inner_products
from springback.train.entanglement.conditions import Case, cases, own_changes
from springback.train.entanglement.cure import Cure
from springback.train.entanglement.cured_step import cured_step
from springback.train.entanglement.pairwise_normalised import PairwiseNormalised
from springback.train.entanglement.preconditioner import AdamMetric
from springback.train.preference import DPO, PairLogprobs

EQUAL = Weights(torch.ones(4).double(), torch.ones(4).double())


def grams(rho, ratios=(0.02, 0.5, 2.0, 50.0)):
    return Grams.of([Products(1.0, r * r, rho * r) for r in ratios])


def reference(count):
    return PairLogprobs(torch.full((count,), -20.0).double(), torch.full((count,), -21.0).double())


@pytest.mark.parametrize("form", ["product", "unit"])
@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.5, 0.999])
@given(seed=st.integers(0, 10**6))
def test_every_pair_s_chosen_rises_and_rejected_falls_however_parallel(form, rho, seed):
    d = torch.randn(2, 4, generator=torch.Generator().manual_seed(seed)).double().exp()
    changes = own_changes(grams(rho), PairwiseNormalised(form=form)(grams(rho), Weights(*d)))
    assert bool((changes.chosen > 0).all())
    assert bool((changes.rejected < 0).all())


def test_plain_weights_do_not_do_that():
    changes = own_changes(grams(0.999), EQUAL)
    assert not bool((changes.chosen > 0).all())
    assert not bool((changes.rejected < 0).all())


def test_known_coefficients():
    # ‖g_w‖ = 1, ‖g_l‖ = 4, d = (1, 9): s = 3, α = 2: product 6 and 1.5; unit 3/1 and 3/4.  Δlog π = ±s√(1·4)(…)(1 − ρ)
    g, d = Grams.of([Products(1, 16, 2)]), Weights(torch.tensor([1.0]), torch.tensor([9.0]))
    product, unit = (PairwiseNormalised(form=form)(g, d) for form in ("product", "unit"))
    assert (float(product.chosen), float(product.rejected)) == (6.0, 1.5)
    assert (float(unit.chosen), float(unit.rejected)) == (3.0, 0.75)
    assert_close(own_changes(g, unit).chosen, torch.tensor([3 * 1 * (1 - 0.5)]).double())
    assert_close(own_changes(g, unit).rejected, torch.tensor([-3 * 4 * (1 - 0.5)]).double())


def test_the_clamp_bounds_both_forms_and_meets_them_continuously():
    cure = PairwiseNormalised(clamp=2.0)
    found = cure(grams(0.5), EQUAL)
    assert_close(found.chosen, torch.tensor([0.5, math.sqrt(0.5), math.sqrt(2), 2]).double())
    assert_close(found.rejected, 1 / found.chosen)
    assert cure.counts(grams(0.5), EQUAL) == {"clamped": 2, "identical": 0, "silent": 0, "left": 0}
    unit = PairwiseNormalised(form="unit", clamp=2.0)(grams(0.5), EQUAL)
    assert_close(unit.chosen[0], torch.tensor(1.0).double())  # the longer gradient still makes a step of length 1
    assert_close(unit.rejected[3], torch.tensor(1 / 50).double())


@pytest.mark.parametrize("form", ["product", "unit"])
def test_degenerate_pairs_are_counted_and_never_infinite(form):
    g = Grams.of([Products(3, 3, 3), Products(0, 0, 0), Products(0, 5, 0), Products(5, 0, 0)])
    cure = PairwiseNormalised(form=form)
    found = cure(g, EQUAL)
    assert bool(torch.cat(found).isfinite().all())
    assert found.chosen[:2].tolist() == found.rejected[:2].tolist() == [0, 0]
    assert cure.counts(g, EQUAL) == {"clamped": 2, "identical": 1, "silent": 1, "left": 0}


def test_pairs_pushed_backwards_go_backwards_and_unopposed_ones_are_left():
    g = Grams.of([Products(1, 16, 2)] * 4)
    d = Weights(torch.tensor([-1.0, 0.0, -1.0, 2.0]), torch.tensor([-1.0, 1.0, 1.0, 2.0]))
    found = PairwiseNormalised()(g, d)
    assert_close(found.chosen, torch.tensor([-2.0, 0.0, -1.0, 4.0]))
    assert_close(found.rejected, torch.tensor([-0.5, 1.0, 1.0, 1.0]))
    assert PairwiseNormalised().counts(g, d)["left"] == 2


def test_it_is_a_cure_and_refuses_a_clamp_that_cannot_hold():
    assert isinstance(PairwiseNormalised(), Cure)
    with pytest.raises(ValueError, match=r"at least 1, got 0\.5"):
        PairwiseNormalised(clamp=0.5)


@pytest.mark.parametrize("form", ["product", "unit"])
@pytest.mark.parametrize(
    "name",
    ["gpt2", "llama (tied, GQA)", "gemma2 (capped logits, window 6)", "phi (head with bias)", "lfm2 (convolutions)"],
)
def test_the_deposited_gradient_is_that_of_the_coefficients_by_hand(name, form):
    built, count = network(name), len(pairs())
    step = cured_step(built, pairs(), DPO(beta=0.3), reference(count), PairwiseNormalised(form=form))
    expected = {n: torch.zeros_like(p) for n, p in built.named_parameters()}
    for index, each in enumerate(pairs()):
        for row, c in ((each.chosen, -step.after.chosen[index]), (each.rejected, step.after.rejected[index])):
            for n, tensor in autograd(built, row).items():
                expected[n] += float(c) * tensor
    step.summed.total.backward()
    for n, p in built.named_parameters():
        found = torch.zeros_like(p) if p.grad is None else p.grad
        assert torch.allclose(found, expected[n], atol=1e-6 * max(1, float(expected[n].abs().max()))), n
    assert (step.note is None) == (name != "lfm2 (convolutions)")
    assert (step.summed.weight, step.summed.tokens) == (
        5,
        sum(len(e.chosen.answer) + len(e.rejected.answer) for e in pairs()),
    )
    assert step.summed.total.item() == pytest.approx(float(DPO(beta=0.3)(step.policy, reference(count)).sum()))
    assert step.counts["identical"] == step.counts["silent"] == 1


class Unchanged:
    """The cure that cures nothing."""

    def __call__(self, grams, weights):
        return weights

    def counts(self, grams, weights):
        return {}


def test_weights_left_alone_give_the_gradient_of_the_loss():
    built = network("gpt2")
    step = cured_step(built, pairs(), DPO(beta=0.3), reference(5), Unchanged())
    step.summed.total.backward()
    found = {n: p.grad.clone() for n, p in built.named_parameters()}
    built.zero_grad()
    logprobs = [[total(built, row) for row in (e.chosen, e.rejected)] for e in pairs()]
    w, v = (torch.stack(side) for side in zip(*logprobs, strict=True))
    DPO(beta=0.3)(PairLogprobs(w, v), reference(5)).sum().backward()
    for n, p in built.named_parameters():
        assert torch.allclose(found[n], p.grad, atol=1e-9), n


def total(built, row):
    if not row.answer:
        return torch.zeros((), dtype=torch.float64)
    ids = torch.tensor([row.prompt + row.answer])
    logprobs = built(ids, use_cache=False).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
    return logprobs[len(row.prompt) - 1 :].sum()


class Inner(Unchanged):
    """A cure that reads the inner product."""

    def __call__(self, grams, weights):
        return Weights(weights.chosen + 0 * grams.wl, weights.rejected)


def test_inner_products_are_made_where_they_are_asked_for():
    built = shared("llama (tied, GQA)")
    found = cured_step(built, pairs(), DPO(), reference(5), Inner(), inner=True).grams
    expected = Grams.of([each.whole for each in inner_products(built, pairs()).pairs])
    assert_close(tuple(found), tuple(expected), rtol=1e-6, atol=1e-6)
    without = cured_step(built, pairs(), DPO(), reference(5), PairwiseNormalised()).grams
    assert_close((without.ww, without.ll), (expected.ww, expected.ll), rtol=1e-6, atol=1e-6)
    assert without.wl.isnan().tolist() == [True, True, False, False, False]
    with pytest.raises(ValueError, match="needs `inner=True`"):
        cured_step(built, pairs(), DPO(), reference(5), Inner())


def planted(built):
    """Answers with one long ending, where ⟨⟩ lies between both squares: the longer gradient's is the rejected one."""
    suffix = tokens(12, 9)
    made = [pair(tokens(4, s), (10 + s, *suffix), (40 + s, *suffix)) for s in range(24)]
    grams = Grams.of([each.whole for each in inner_products(built, made).pairs])
    each = next(each for each, case in zip(made, cases(grams), strict=True) if case == Case.BOTH_RISE)
    return pair(each.chosen.prompt, each.rejected.answer, each.chosen.answer)


class Descent:
    """Plain gradient descent behind the loop's own protocol."""

    def __init__(self, network):
        self.network = network

    def fold(self): ...

    def norm(self):
        return float(sum((p.grad**2).sum() for p in self.network.parameters() if p.grad is not None)) ** 0.5

    def faulty(self):
        return []

    @torch.no_grad()
    def step(self, *, lr, scale):
        for p in self.network.parameters():
            p -= lr * scale * p.grad

    def discard(self):
        self.network.zero_grad()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("cure", [Unchanged(), PairwiseNormalised(), PairwiseNormalised(form="unit")])
def test_a_planted_pair_falls_under_dpo_and_rises_under_the_cure_on_the_one_loop(cure, mirrored):
    built = network("gpt2")
    each = planted(built)
    if mirrored:  # then it is the rejected answer that would rise
        each = pair(each.chosen.prompt, each.rejected.answer, each.chosen.answer)
    before = [total(built, row).item() for row in (each.chosen, each.rejected)]

    def loss(batch):
        return cured_step(built, batch, DPO(beta=1.0), reference(1), cure).summed

    list(fit(loss, [[each]], Descent(built), Fit(lr=1e-7, clip=math.inf)))
    moved = [total(built, row).item() - old for row, old in zip((each.chosen, each.rejected), before, strict=True)]
    cured = isinstance(cure, PairwiseNormalised)
    assert (moved[0] > 0) == (cured or mirrored)
    assert (moved[1] < 0) == (cured or not mirrored)


def test_under_adam_s_metric_the_norms_and_so_the_ratio_are_others():
    built = network("gpt2", torch.float32)
    update = MasterAdamW(built)
    with pytest.raises(ValueError, match="no second moment yet"):
        AdamMetric(update)
    loss = DPO(beta=0.3)
    list(
        fit(lambda b: cured_step(built, b, loss, reference(2), Unchanged()).summed, [pairs()[:2]], update, Fit(lr=1e-4))
    )
    metric, one = AdamMetric(update), "transformer.h.0.mlp.c_fc.weight"
    second = next(slot for slot in update.slots if slot.name == one).second
    assert_close(metric[one], 1 / ((second / (1 - update.betas[1])).sqrt() + update.eps))
    plain, scaled = (
        cured_step(built, pairs()[:2], loss, reference(2), PairwiseNormalised(), metric=m) for m in (None, metric)
    )
    q = torch.sqrt(scaled.grams.ll / scaled.grams.ww)
    assert_close(scaled.after.chosen / scaled.after.rejected, q)
    assert not torch.allclose(q, torch.sqrt(plain.grams.ll / plain.grams.ww), rtol=1e-3)
    w = autograd(built, pairs()[0].chosen)
    assert float(scaled.grams.ww[0]) == pytest.approx(
        sum(float((w[n] ** 2 * metric[n]).sum()) for n in metric), rel=1e-3
    )
