import math

import pytest
import torch
from tests.models.tiny_networks import CONFIGS, network, plain_logits, tokens
from torch.testing import assert_close

from springback.errors import RefusedError
from springback.models import score
from springback.models.rows import Row
from springback.models.score import answer_logits, token_logprobs

BEGINNING = tokens(9, 99)
ROWS = [Row(BEGINNING + tokens(2 + i % 4, i), tokens(1 + 5 * i % 11, 50 + i), 1, 5) for i in range(9)]


def one_by_one(built, row):
    """Plain transformers, a row at a time, from the definition, in float64."""
    logits = plain_logits(built, row.prompt + row.answer).double()
    at = len(row.prompt) - 1
    return torch.stack([logits[at + t].log_softmax(-1)[token] for t, token in enumerate(row.answer)])


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("how", [{}, {"sharing": False}, {"batch_tokens": 40}, {"batch_tokens": 1}])
def test_alone_padded_and_with_a_shared_beginning_agree(name, how):
    built = network(name)
    for row, found in zip(ROWS, token_logprobs(built, ROWS, **how), strict=True):
        assert found.dtype == torch.float64
        assert_close(found, one_by_one(built, row), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_of_the_plain_forward(name):
    built = network(name)
    for row, found in zip(ROWS, answer_logits(built, ROWS), strict=True):
        expected = plain_logits(built, row.prompt + row.answer)[len(row.prompt) - 1 : -1]
        assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_row_does_not_depend_on_its_company():
    built = network("llama")
    (alone,) = token_logprobs(built, [ROWS[3]])
    assert_close(token_logprobs(built, ROWS)[3], alone, rtol=0, atol=1e-5)
    assert_close(token_logprobs(built, ROWS[::-1])[5], alone, rtol=0, atol=1e-5)


def test_the_probabilities_of_all_possible_answers_sum_to_one():
    built = network("gpt2")
    rows = [Row(BEGINNING, (token,), 1, 1) for token in range(97)]
    assert math.fsum(math.exp(float(found)) for found in token_logprobs(built, rows)) == pytest.approx(1, abs=1e-6)


def test_the_stop_token_is_scored_too():
    row = Row(BEGINNING, (5, 6, 2), 1, 2)
    (found,) = token_logprobs(network("llama"), [row])
    assert len(found) == 3
    assert_close(found, one_by_one(network("llama"), row), rtol=0, atol=1e-5)


def test_bfloat16_logits_are_normalised_in_float32():
    built = network("llama").bfloat16()
    rows = [Row(BEGINNING, (token,), 1, 1) for token in range(97)]
    total = math.fsum(math.exp(float(found)) for found in token_logprobs(built, rows, sharing=False))
    assert total == pytest.approx(1, abs=1e-5)


def test_in_bfloat16_a_shared_beginning_changes_little():
    built = network("llama").bfloat16()
    apart = torch.cat(token_logprobs(built, ROWS, sharing=False))
    assert (torch.cat(token_logprobs(built, ROWS)) - apart).abs().max() < 0.1


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt"])
def test_filling_up_columns_reaches_no_position_beyond_the_context(name, monkeypatch):
    built = network(name)
    monkeypatch.setattr(score, "missing", lambda _network, columns: -columns % 16)
    row = Row(tokens(60, 0), tokens(66, 1), 1, 9)
    (found,) = token_logprobs(built, [row])
    assert_close(found, one_by_one(built, row), rtol=0, atol=1e-5)


def test_vocabulary_is_read_in_pieces(monkeypatch):
    built = network("qwen2")
    whole = token_logprobs(built, ROWS)
    monkeypatch.setattr(score, "LOGIT_BYTES", 3 * 4 * 97)
    assert_close(token_logprobs(built, ROWS), whole, rtol=0, atol=1e-6)


def test_dropout_is_off_and_the_mode_is_put_back():
    built = network("gpt2").train()
    built.transformer.h[1].eval()
    first, second = token_logprobs(built, ROWS), token_logprobs(built, ROWS)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert built.training
    assert not built.transformer.h[1].training
    assert built.transformer.h[0].training


def test_no_rows_no_figures():
    assert token_logprobs(network("llama"), []) == []


@pytest.mark.parametrize(("row", "word"), [(Row((), (5,), 1, 1), "prompt"), (Row((5,), (), 0, 0), "answer")])
def test_a_row_without_prompt_or_answer_is_refused(row, word):
    with pytest.raises(RefusedError, match=word):
        token_logprobs(network("llama"), [row])


def test_too_long_a_row_is_refused_and_named():
    built, fits = network("llama"), Row(tokens(64, 0), tokens(65, 1), 1, 9)
    token_logprobs(built, [fits])
    with pytest.raises(RefusedError, match=r"Row 1 .* 130 tokens, the model reads 128"):
        token_logprobs(built, [fits, Row(tokens(64, 0), tokens(66, 1), 1, 9)])
