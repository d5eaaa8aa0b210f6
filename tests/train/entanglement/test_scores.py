import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.train.entanglement.pairs import pairs, shared

from springback.train.entanglement.scores import edit_distance, scores

WORDS = st.lists(st.integers(0, 3), max_size=8)


@torch.no_grad()
def hidden(built, row):
    """Final states of the positions that predict the answer, of one unpadded row."""
    out = built(torch.tensor([row.prompt + row.answer[:-1]]), use_cache=False, output_hidden_states=True)
    return out.hidden_states[-1][0, len(row.prompt) - 1 :]


@pytest.mark.parametrize("name", ["gpt2", "llama (tied, GQA)", "gemma2 (capped logits, window 6)"])
def test_ches_is_its_formula_on_unpadded_rows_whatever_stands_beside(name):
    built = shared(name)
    for found, each in zip(scores(built, pairs()), pairs()[:3], strict=False):
        w, v = hidden(built, each.chosen), hidden(built, each.rejected)
        sums, means = (w.sum(0), v.sum(0)), (w.mean(0), v.mean(0))
        assert found.ches == pytest.approx(float(sums[0] @ sums[1] - sums[0] @ sums[0]), rel=1e-5, abs=1e-5)
        assert found.ches_by_length == pytest.approx(
            float(means[0] @ means[1] - means[0] @ means[0]), rel=1e-5, abs=1e-5
        )
        assert found.hidden_cosine == pytest.approx(float(torch.cosine_similarity(*means, dim=0)), rel=1e-6)
        assert found.length_difference == len(each.chosen.answer) - len(each.rejected.answer)


def test_an_answer_against_itself_scores_nothing_and_an_empty_one_has_no_score():
    found = scores(shared("gpt2"), pairs())
    assert found[2].ches == pytest.approx(0, abs=1e-9)
    assert (found[2].hidden_cosine, found[2].edit_distance) == (pytest.approx(1), 0)
    assert (found[3].ches, found[3].edit_distance, found[3].length_difference) == (None, 6, 6)


def slow(one, other):
    if not one or not other:
        return len(one) + len(other)
    same = slow(one[1:], other[1:]) + (one[0] != other[0])
    return min(same, slow(one[1:], other) + 1, slow(one, other[1:]) + 1)


@given(st.lists(st.integers(0, 3), max_size=5), st.lists(st.integers(0, 3), max_size=5))
def test_edit_distance_is_that_of_the_definition(one, other):
    assert edit_distance(one, other) == slow(one, other)


@given(WORDS, WORDS, WORDS)
def test_edit_distance_is_a_distance(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a) <= edit_distance(a, c) + edit_distance(c, b)
