import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from springback.tensors import divergences
from springback.tensors.divergences import kl_bits, rank_of, rank_shift, shift_shares, top_k


def logits(seed, time=5, vocab=11, scale=3.0):
    return scale * torch.randn(time, vocab, generator=torch.Generator().manual_seed(seed))


def by_the_definition(p, q):
    p, q = p.double().softmax(-1), q.double().softmax(-1)
    return torch.stack([sum(a * (a / b).log2() for a, b in zip(x, y, strict=True)) for x, y in zip(p, q, strict=True)])


@given(st.integers(0, 10_000))
def test_is_the_sum_over_the_vocabulary(seed):
    p, q = logits(seed), logits(seed + 1)
    assert_close(kl_bits(p, q), by_the_definition(p, q), rtol=0, atol=1e-5)


def test_the_first_distribution_is_the_one_that_is_averaged_over():
    sure, fair = torch.tensor([[0.0, -torch.inf]]), torch.tensor([[0.0, 0.0]])
    assert kl_bits(sure, fair).tolist() == pytest.approx([1.0])
    assert kl_bits(fair, sure).tolist() == [math.inf]


def test_half_and_half_against_three_quarters_is_a_fifth_of_a_bit():
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
    assert kl_bits(p, q).item() == pytest.approx(0.5 * math.log2(2 / 3) + 0.5 * math.log2(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_equal_logits_are_exactly_nought_apart(dtype):
    p = logits(0, 7, 999).to(dtype)
    assert kl_bits(p, p.clone()).tolist() == [0.0] * 7


@given(st.integers(0, 10_000))
def test_is_never_below_rounding(seed):
    p = logits(seed)
    assert (kl_bits(p, p + 1e-4 * logits(seed + 1)) > -1e-6).all()


def test_a_constant_added_to_all_logits_changes_nothing():
    assert_close(kl_bits(logits(0), logits(1) + 7), kl_bits(logits(0), logits(1)), rtol=0, atol=1e-5)


def test_pieces_give_what_the_whole_gives(monkeypatch):
    whole = kl_bits(logits(0, 9), logits(1, 9))
    monkeypatch.setattr(divergences, "CELLS", 2 * 11)
    assert torch.equal(kl_bits(logits(0, 9), logits(1, 9)), whole)


def test_no_positions_no_divergences():
    assert kl_bits(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_ranks_count_from_the_likeliest():
    seen = torch.tensor([[0.1, 0.9, 0.5, 0.7]])
    assert [int(rank_of(seen, torch.tensor([token]))) for token in range(4)] == [4, 1, 3, 2]


def test_equal_logits_share_the_better_rank():
    assert int(rank_of(torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([2]))) == 1


def test_the_shift_is_the_rank_under_the_start_of_what_the_model_says():
    start, model = torch.tensor([[3.0, 2.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    assert rank_shift(start, model).tolist() == [4]
    assert rank_shift(model, start).tolist() == [2]
    assert rank_shift(start, start).tolist() == [1]


def test_shares_of_the_three_classes():
    shares = shift_shares(torch.tensor([1, 1, 2, 3, 4, 70, 1, 1])).json()
    assert shares == {"1": 0.5, "2_3": 0.25, "over_3": 0.25}
    with pytest.raises(ValueError, match="no positions"):
        shift_shares(torch.tensor([], dtype=torch.long))


def test_the_likeliest_tokens_come_first_with_their_probabilities():
    top = top_k(torch.tensor([[0.2, 0.5, 0.3]]).log(), 2)
    assert top.tokens.tolist() == [[1, 2]]
    assert top.probabilities[0].tolist() == pytest.approx([0.5, 0.3])
    assert top_k(torch.zeros(1, 3), 5).tokens.shape == (1, 3)
