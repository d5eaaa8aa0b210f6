"""What follows from inner products and weights, on random vectors whose changes are computed outright."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from springback.train.entanglement import Grams, Products, Weights
from springback.train.entanglement.conditions import (
    Case,
    band,
    batch_changes,
    cases,
    condition,
    cosine,
    inside,
    own_changes,
    ratio,
)

SEEDS = st.integers(0, 10**6)


def drawn(seed, pairs=64, width=4, scale=1.0):
    draw = torch.Generator().manual_seed(seed)
    w, v = (torch.randn(pairs, width, generator=draw, dtype=torch.float64) for _ in range(2))
    return w * torch.rand(pairs, 1, generator=draw).double().mul(3).exp() * scale, v


def grams(w, v):
    return Grams((w * w).sum(1), (v * v).sum(1), (w * v).sum(1))


def weights(seed, pairs=64, *, signed=False):
    draw = torch.Generator().manual_seed(seed + 1)
    d = torch.randn(2, pairs, generator=draw, dtype=torch.float64).exp()
    signs = torch.where(torch.rand(2, pairs, generator=draw) < 0.5, -1.0, 1.0) if signed else torch.ones(2, pairs)
    return Weights(*(d * signs).double())


@given(SEEDS)
def test_changes_are_those_of_a_step_on_the_pair(seed):
    w, v = drawn(seed)
    d = weights(seed, signed=True)
    step = d.chosen[:, None] * w - d.rejected[:, None] * v
    found = own_changes(grams(w, v), d)
    assert_close(found.chosen, (w * step).sum(1))
    assert_close(found.rejected, (v * step).sum(1))
    assert_close(found.margin, ((w - v) * step).sum(1))


@given(SEEDS)
def test_the_condition_is_the_sign_of_the_changes_whatever_the_signs_of_d(seed):
    w, v = drawn(seed)
    d = weights(seed, signed=True)
    step = d.chosen[:, None] * w - d.rejected[:, None] * v
    held = condition(grams(w, v), d)
    assert torch.equal(held.chosen_rises, (w * step).sum(1) > 0)
    assert torch.equal(held.rejected_falls, (v * step).sum(1) < 0)


@given(SEEDS)
def test_inside_the_band_and_only_there_both_wishes_come_true(seed):
    g, d = grams(*drawn(seed)), weights(seed)
    assert torch.equal(inside(g, d), condition(g, d).both)
    found = band(g)
    assert bool((found.low <= found.centre).all())
    assert bool((found.centre <= found.high).all())


@given(SEEDS)
def test_the_centre_of_the_band_is_right_however_parallel_the_gradients(seed):
    w, v = drawn(seed)
    nearly = w + 1e-2 * v
    g = grams(w, nearly)
    centre = Weights(band(g).centre, torch.ones(len(w), dtype=torch.float64))
    assert bool(condition(g, centre).both.all())


@given(SEEDS)
def test_both_wishes_cannot_fail_at_once(seed):
    held = condition(grams(*drawn(seed)), weights(seed))
    assert bool((held.chosen_rises | held.rejected_falls).all())


@given(SEEDS)
def test_equal_pushes_give_the_paper_s_cases_and_a_margin_that_grows(seed):
    g = grams(*drawn(seed))
    equal = Weights(torch.ones(64, dtype=torch.float64), torch.ones(64, dtype=torch.float64))
    held, margin = condition(g, equal), own_changes(g, equal).margin
    expected = {(True, True): Case.IDEAL, (False, True): Case.BOTH_FALL, (True, False): Case.BOTH_RISE}
    rises, falls = held.chosen_rises.tolist(), held.rejected_falls.tolist()
    assert cases(g) == [expected[both] for both in zip(rises, falls, strict=True)]
    assert bool((margin >= 0).all())


def test_unequal_pushes_can_shrink_the_margin():
    # ‖g_w‖ = 1, ‖g_l‖ = 2, ⟨⟩ = 1.8:  d = (2, 1): 2 − 5.4 + 4 = 0.6;  d = (4, 1): 4 − 9 + 4 = −1
    g = Grams.of([Products(1, 4, 1.8)] * 2)
    d = Weights(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 1.0]))
    assert_close(own_changes(g, d).margin, torch.tensor([0.6, -1.0], dtype=torch.float64))


def test_known_band():
    # ww = 4, ll = 9, wl = 3:  q from 3/4 to 9/3, centre 3/2;  wl < 0: from 0 to ∞;  no chosen gradient: no band
    found = band(Grams.of([Products(4, 9, 3), Products(4, 9, -3), Products(0, 9, 0)]))
    assert_close(found.low, torch.tensor([0.75, 0, math.nan], dtype=torch.float64), equal_nan=True)
    assert_close(found.centre, torch.tensor([1.5, 1.5, math.nan], dtype=torch.float64), equal_nan=True)
    assert_close(found.high, torch.tensor([3, math.inf, math.nan], dtype=torch.float64), equal_nan=True)
    assert_close(
        cosine(Grams.of([Products(4, 9, 3), Products(0, 9, 0)])),
        torch.tensor([0.5, math.nan], dtype=torch.float64),
        equal_nan=True,
    )


@pytest.mark.parametrize(("chosen", "rejected"), [(1.0, 0.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)])
def test_there_is_no_q_unless_chosen_is_pushed_up_and_rejected_down(chosen, rejected):
    d = Weights(torch.tensor([chosen]), torch.tensor([rejected]))
    assert bool(ratio(d).isnan().all())
    assert not bool(inside(Grams.of([Products(4, 9, 3)]), d).any())


@given(SEEDS)
def test_a_batch_s_changes_are_the_pair_s_own_and_the_others(seed):
    w, v = drawn(seed, pairs=5)
    d = weights(seed, pairs=5, signed=True)
    answers = torch.cat([w, v])
    step = (d.chosen[:, None] * w - d.rejected[:, None] * v).sum(0) / 5
    found = batch_changes(answers @ answers.T, d)
    assert_close(torch.cat(found.whole), answers @ step)
    alone = own_changes(grams(w, v), d)
    assert_close(found.own.chosen, alone.chosen / 5)
    assert_close(found.own.rejected, alone.rejected / 5)


def test_orthogonal_pairs_leave_each_other_alone():
    d = weights(0, pairs=2)
    blocks = torch.tensor([[4.0, 0, 3, 0], [0, 1, 0, 2], [3, 0, 9, 0], [0, 2, 0, 5]], dtype=torch.float64)
    others = batch_changes(blocks, d).others
    assert_close(torch.cat(others), torch.zeros(4, dtype=torch.float64))


def test_a_gram_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="2 pairs have 4 answers"):
        batch_changes(torch.zeros(3, 3, dtype=torch.float64), weights(0, pairs=2))
