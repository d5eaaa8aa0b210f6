"""Inner products token by token."""

from itertools import pairwise

import pytest
import torch
from tests.train.entanglement.pairs import autograd, dot, pair, pairs, shared

from springback.errors import RefusedError
from springback.models.rows import Row
from springback.train.entanglement import inner_products
from springback.train.entanglement.by_token import token_changes, token_marginals, token_matrix

NAMES = ["gpt2", "llama (tied, GQA)", "bloom (no positions)", "lfm2 (convolutions)", "gemma2 (capped logits, window 6)"]


def by_token(built, row):
    """g_t of every answer token, each a difference of two autograd gradients of longer and shorter answers."""
    whole = [autograd(built, Row(row.prompt, row.answer[:end], 0, 0)) for end in range(len(row.answer) + 1)]
    return [{n: b[n] - a[n] for n in a} for a, b in pairwise(whole)]


@pytest.mark.parametrize("name", NAMES)
def test_the_matrix_is_that_of_every_token_s_gradient(name):
    built, each = shared(name), pairs()[1]
    chosen, rejected = by_token(built, each.chosen), by_token(built, each.rejected)
    expected = torch.tensor([[dot(t, u) for u in rejected] for t in chosen], dtype=torch.float64)
    assert torch.allclose(token_matrix(built, each), expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_marginals_sum_to_the_inner_product_and_are_the_matrix_s(name):
    built, each = shared(name), pairs()[0]
    wl = inner_products(built, [each]).pairs[0].wl
    marginals, matrix = token_marginals(built, each), token_matrix(built, each)
    assert float(marginals.chosen.sum()) == pytest.approx(wl, rel=1e-6)
    assert float(marginals.rejected.sum()) == pytest.approx(wl, rel=1e-6)
    atol = 1e-6 * float(matrix.abs().max())
    assert torch.allclose(marginals.chosen, matrix.sum(1), atol=atol)
    assert torch.allclose(marginals.rejected, matrix.sum(0), atol=atol)


def test_swapped_answers_swap_rows_and_columns():
    built, each = shared("gpt2"), pairs()[0]
    swapped = pair(each.chosen.prompt, each.rejected.answer, each.chosen.answer)
    assert torch.allclose(token_matrix(built, swapped), token_matrix(built, each).T)


def test_token_changes_are_first_differences_along_a_direction():
    built, row = shared("gpt2"), pairs()[0].chosen
    draw = torch.Generator().manual_seed(0)
    direction = {n: torch.randn(p.shape, generator=draw, dtype=p.dtype) * 0.01 for n, p in built.named_parameters()}
    found, values = token_changes(built, row, direction), []
    for sign in (1e-4, -1e-4):
        moved = {n: p.detach() + sign * direction[n] for n, p in built.named_parameters()}
        ids = torch.tensor([row.prompt + row.answer])
        logits = torch.func.functional_call(built, moved, (ids,)).logits[0, :-1].log_softmax(-1)
        values.append(logits.gather(-1, ids[0, 1:, None])[len(row.prompt) - 1 :, 0])
    assert torch.allclose(found, (values[0] - values[1]) / 2e-4, rtol=1e-6, atol=1e-9)


def test_chosen_parameters_alone_are_counted():
    built, each = shared("gpt2"), pairs()[0]
    chosen = ["transformer.h.1.mlp.c_fc.weight"]
    part = inner_products(built, [each]).pairs[0].parts[chosen[0]]
    assert float(token_marginals(built, each, parameters=chosen).chosen.sum()) == pytest.approx(part.wl, rel=1e-9)


def test_empty_answers_have_no_tokens():
    built = shared("gpt2")
    assert token_matrix(built, pairs()[3]).shape == (6, 0)
    assert token_matrix(built, pairs()[4]).shape == (0, 0)
    assert token_marginals(built, pairs()[3]).chosen.tolist() == [0.0] * 6
    assert token_marginals(built, pairs()[3]).rejected.tolist() == []


def test_a_long_matrix_is_refused_with_its_price():
    with pytest.raises(RefusedError, match="each of 6 tokens; 5 are allowed"):
        token_matrix(shared("gpt2"), pairs()[0], most=5)
