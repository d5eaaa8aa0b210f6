import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.family import losses, numbers
from tests.train.preference.the_point import POINT, tensor
from torch.nn.utils.rnn import pad_sequence
from torch.testing import assert_close

from springback.train.preference.dpo import DPO
from springback.train.preference.ld_dpo import LDDPO, LDDPOPolicyOnly
from springback.train.preference.pairs import Both, BothByToken, PairLogprobs
from springback.train.preference.sampo import SamPO
from springback.train.preference.tdpo import TDPO1, TDPO2
from springback.train.preference.unlikelihood import Unlikelihood
from springback.train.preference.wpo import WPO, WPOClamped

MEMBERS = [LDDPO(), LDDPOPolicyOnly(), SamPO(), TDPO1(), TDPO2(), Unlikelihood(), WPO(), WPOClamped()]


def seen(chosen: list[list[float]], rejected: list[list[float]], *, wider: int = 0) -> PairLogprobs:
    """Token by token; `wider` columns of padding, as a larger batch would have."""
    tables, counts = [], []
    for side in (chosen, rejected):
        table = pad_sequence([torch.tensor(row, dtype=torch.float64) for row in side], batch_first=True)
        tables.append(torch.nn.functional.pad(table, (0, wider)).requires_grad_())
        counts.append(torch.tensor([float(len(row)) for row in side], dtype=torch.float64))
    sums = [table.sum(dim=1) for table in tables]
    nothing = BothByToken(*(torch.zeros_like(table) for table in tables))
    none = Both(*(torch.zeros_like(total) for total in sums))
    return PairLogprobs(*sums, Both(*counts), BothByToken(*tables), nothing, none)


def slopes(loss: torch.Tensor, of: BothByToken) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.autograd.grad(loss.sum(), (of.chosen, of.rejected), allow_unused=True)
    return tuple(torch.zeros(()) if slope is None else slope for slope in both)


@given(numbers)
def test_full_weight_makes_dpo_of_ld_dpo_and_no_divergence_makes_it_of_tdpo(batch):
    for method in (LDDPO(alpha=1.0), LDDPOPolicyOnly(alpha=1.0), TDPO2(alpha=0.0)):
        assert_close(losses("", batch, method), losses("", batch, DPO()))


def test_ld_dpo_without_the_tail_does_not_read_it():
    policy, reference = seen([[-1, -2]], [[-1, -1, -9]]), seen([[-1, -1]], [[-2, -1, -7]])
    loss = LDDPO(alpha=0.0)(policy, reference)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-0.1 * (-1 - 1))))  # a = −1, b = +1 over two tokens
    assert slopes(loss, policy.by_token)[1][0, 2] == 0


@pytest.mark.parametrize("method", MEMBERS, ids=str)
def test_padding_and_its_width_change_nothing(method):
    chosen, rejected = [[-1.0, -2.0], [-0.5]], [[-1.0, -0.3, -2.0], [-0.2, -0.4]]
    reference = seen([[-2.0, -1.0], [-0.1]], [[-1.5, -0.1, -1.0], [-0.7, -0.6]])
    wider = seen([[-2.0, -1.0], [-0.1]], [[-1.5, -0.1, -1.0], [-0.7, -0.6]], wider=5)
    loss, padded = method(seen(chosen, rejected), reference), method(seen(chosen, rejected, wider=5), wider)
    assert_close(padded, loss)


@pytest.mark.parametrize("method", MEMBERS, ids=str)
def test_an_empty_answer_is_no_nan(method):
    policy, reference = seen([[], [-1.0]], [[-1.0], []]), seen([[], [-2.0]], [[-2.0], []])
    loss = method(policy, reference)
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(slope).all() for slope in slopes(loss, policy.by_token))


@pytest.mark.parametrize("method", [SamPO(), LDDPO(alpha=0.0)], ids=str)
@given(st.lists(st.floats(-9, -0.1), min_size=3, max_size=3))
def test_answers_of_one_length_make_dpo_of_both(method, tokens):
    policy, reference = seen([tokens], [tokens[::-1]]), seen([[-1.0, -2.0, -3.0]], [[-0.5, -0.1, -4.0]])
    assert_close(method(policy, reference), DPO()(policy, reference))


def test_sampo_draws_as_many_tokens_as_the_shorter_answer_has():
    chosen, rejected = [[-1.0] * 3, [-1.0] * 6], [[-1.0] * 8, [-1.0] * 2]
    policy = seen(chosen, rejected)
    drawn = [slope != 0 for slope in slopes(SamPO(draw=5)(policy, seen(chosen, rejected)), policy.by_token)]
    assert [kept.sum(dim=1).tolist() for kept in drawn] == [[3, 2], [3, 2]]


def test_sampo_draws_anew_after_a_step_and_the_same_again_when_resumed():
    chosen, rejected = [[-1.0] * 3], [[-1.0 - i for i in range(20)]]
    policy, reference = seen(chosen, rejected), seen([[-1.0] * 3], [[-1.0] * 20])
    steps = [method := SamPO()] + [method := method.after(policy, reference) for _ in range(5)]
    values = [step(policy, reference).item() for step in steps]
    assert len(set(values)) == 6
    assert [SamPO(draw=i)(policy, reference).item() for i in range(6)] == values


def test_sampo_draws_every_token_equally_often():
    rejected = [[-1.0] * 4]
    policy, reference = seen([[-1.0]], rejected), seen([[-1.0]], rejected)
    counts = sum(slopes(SamPO(draw=i)(policy, reference), policy.by_token)[1][0] != 0 for i in range(400))
    assert counts.sum() == 400
    assert (counts > 70).all()  # 100 each; 70 is 3.5 standard deviations away


def test_the_reference_is_read_at_the_tokens_that_were_drawn():
    tokens = [[-1.0, -5.0, -2.0, -0.1, -7.0]]
    policy, reference = seen([[-1.0]], tokens), seen([[-1.0]], [[x - 1 for x in tokens[0]]])
    # every token of the rejected answer is 1 nat above the reference: whatever is drawn, b = 1
    assert SamPO(draw=3)(policy, reference).item() == pytest.approx(math.log1p(math.exp(0.1)))


def test_tdpo_s_first_form_moves_the_chosen_answer_s_divergence_and_the_second_holds_it():
    apart = Both(tensor(0.4).requires_grad_(), tensor(0.7).requires_grad_())
    reference = PairLogprobs(POINT.ref_chosen, POINT.ref_rejected)
    policy = PairLogprobs(POINT.chosen, POINT.rejected, divergence=apart)
    first, second = TDPO1()(policy, reference), TDPO2()(policy, reference)
    d_chosen, d_rejected = torch.autograd.grad(first.sum(), (apart.chosen, apart.rejected))
    assert d_chosen.item() == pytest.approx(-d_rejected.item())  # of −(D_l − D_w): the chosen one's grows
    held, pushed = torch.autograd.grad(second.sum(), (apart.chosen, apart.rejected), allow_unused=True)
    assert held is None
    assert pushed.item() == pytest.approx(0.05 / (1 + math.exp(0.145)))  # αβσ(−β(1.6 − .15))


def test_what_the_policy_would_write_itself_weighs_more_and_the_clamp_is_at_one():
    # log π − log Σ π² = +0.5 a token in both answers: w = e
    policy = replace(
        seen([[-1.0, -1.0]], [[-1.0]]), collision=BothByToken(tensor(-1.5, -1.5)[None], tensor(-1.5)[None])
    )
    reference = seen([[-1.0, -1.0]], [[-1.0]])
    assert WPO()(policy, reference).item() == pytest.approx(math.e * math.log(2))
    assert WPOClamped()(policy, reference).item() == pytest.approx(math.log(2))


def test_unlikelihood_is_one_coin_s_surprise():
    policy = seen([[-1.0]], [[math.log(0.5), math.log(0.25)]])
    loss = Unlikelihood()(policy)
    assert loss.item() == pytest.approx(math.log(2) + math.log(4 / 3))
    assert slopes(loss, policy.by_token)[1][0].tolist() == pytest.approx([1.0, 1 / 3])  # p/(1 − p)


def test_unlikelihood_goes_on_as_a_line_where_a_token_is_certain():
    floor = 1e-3
    policy = seen([[]], [[0.0, math.log1p(-floor), math.log1p(-floor / 2), -1e4]])
    loss = Unlikelihood(floor=floor)(policy)
    slope = slopes(loss, policy.by_token)[1][0]
    assert torch.isfinite(loss).all()
    assert slope.tolist() == pytest.approx([999.0, 999.0, 999.0, 0.0], rel=1e-6)
    below = seen([[]], [[math.log1p(-1.001 * floor)]])
    gap = Unlikelihood(floor=floor)(seen([[]], [[math.log1p(-floor)]])) - Unlikelihood(floor=floor)(below)
    assert gap.item() == pytest.approx(math.log(1.001), rel=1e-2)  # no jump where the line begins


@pytest.mark.parametrize(("method", "need"), [(LDDPO(), "tokens"), (SamPO(), "tokens"), (TDPO2(), "divergence")])
def test_what_is_missing_is_named(method, need):
    pair = PairLogprobs(tensor(-1.0), tensor(-2.0))
    with pytest.raises(ValueError, match=f"`{need}`"):
        method(pair, pair)


@pytest.mark.parametrize("made", [lambda: LDDPO(alpha=1.5), lambda: TDPO2(alpha=-1.0), lambda: SamPO(draw=-1)])
def test_refuses_meaningless_settings(made):
    with pytest.raises(ValueError, match="must be"):
        made()
