"""Traps of tokenising preference data (each a test): shared prompt ids, ends, merges, doubled beginnings, length."""

import pytest

from springback.data.choices import Choice, Judged, Ranking
from springback.data.records import Message
from springback.errors import RefusedError
from springback.models.pair_tokens import answers, item_of, rows_sha256, tokenised
from springback.models.tiny import START, STOP, tiny

PROMPT = (Message("user", "Which colour?"),)
CHOICE = Choice(PROMPT, "Blue.", "Blueish green, I think.", "data.jsonl:3")


@pytest.fixture(scope="module")
def model():
    return tiny()


def test_both_answers_follow_the_same_prompt_tokens_and_end_in_the_same_stop(model):
    pair = item_of(model, CHOICE)
    assert pair.chosen.prompt == pair.rejected.prompt
    stop = model.tokenizer.convert_tokens_to_ids(STOP)
    for row in (pair.chosen, pair.rejected):
        assert row.answer[-1] == stop
        assert row.answer.count(stop) == 1


def test_a_beginning_that_both_answers_share_stays_in_the_answers(model):
    pair = item_of(model, CHOICE)
    text = model.tokenizer.decode(list(pair.chosen.answer))
    assert text == f"Blue.{STOP}"
    assert model.tokenizer.decode(list(pair.rejected.answer)).startswith("Blueish")


@pytest.mark.parametrize("ends", ["?", " $", "\n", " "])
def test_the_tokens_say_the_text_whatever_the_prompt_ends_in(model, ends):
    pair = item_of(model, Choice((Message("user", f"Price{ends}"),), "$5", " $6", "f:1"))
    for row, answer in ((pair.chosen, "$5"), (pair.rejected, " $6")):
        text = model.tokenizer.decode([*row.prompt, *row.answer])
        assert text == f"{START}user\nPrice{ends}{STOP}\n{START}assistant\n{answer}{STOP}"


def test_no_beginning_of_text_is_doubled(model):
    start = model.tokenizer.convert_tokens_to_ids(START)
    pair = item_of(model, CHOICE)
    assert pair.chosen.prompt.count(start) == 2  # a user's turn and the answer's
    assert start not in pair.chosen.answer


def test_swapping_the_columns_swaps_the_rows_and_nothing_else(model):
    pair, turned = item_of(model, CHOICE), item_of(model, Choice(PROMPT, CHOICE.rejected, CHOICE.chosen, "f:1"))
    assert (pair.chosen, pair.rejected) == (turned.rejected, turned.chosen)


def test_a_row_that_does_not_fit_is_refused_with_the_arithmetic_or_dropped_and_counted(model):
    rows = [CHOICE, Choice(PROMPT, "x" * 200, "y", "data.jsonl:9")]
    prompt = len(item_of(model, CHOICE).chosen.prompt)
    with pytest.raises(RefusedError) as refused:
        tokenised(model, rows, max_length=100)
    assert f"{prompt} prompt and 201 answer tokens, {prompt + 201} together; at most 100" in refused.value.message
    assert refused.value.where == "data.jsonl:9"
    assert "--too-long drop" in refused.value.next
    kept = tokenised(model, rows, max_length=100, too_long="drop")
    assert (kept.ledger.read, kept.ledger.kept, kept.kept) == (2, 1, (0,))
    assert kept.ledger.dropped[0].first == ("data.jsonl:9",)


def test_a_prompt_longer_than_the_window_is_refused_with_what_the_model_reads(model):
    long = Choice((Message("user", "x" * 2000),), "a", "b", "data.jsonl:1")
    with pytest.raises(RefusedError, match="tiny-0 reads 1024"):
        tokenised(model, [long], max_length=5000)


def test_a_control_token_in_a_text_is_refused_with_its_line(model):
    with pytest.raises(RefusedError) as refused:
        tokenised(model, [Choice(PROMPT, f"a{STOP}b", "c", "data.jsonl:7")])
    assert refused.value.where == "data.jsonl:7"


def test_ranked_and_labelled_answers_share_their_prompt_too(model):
    ranked = item_of(model, Ranking(PROMPT, ("a", "bb", "c"), (3.0, 2.0, 1.0), "f:1"))
    assert len({row.prompt for row in ranked.rows}) == 1
    labelled = item_of(model, Judged(PROMPT, "a", False, "f:1"))
    assert answers(labelled) == ranked.rows[:1]
    assert not labelled.wanted


def test_the_hash_of_rows_sees_order_labels_and_every_token(model):
    one, other = item_of(model, CHOICE), item_of(model, Choice(PROMPT, "Red.", "Blue.", "f:1"))
    wanted, unwanted = (item_of(model, Judged(PROMPT, "a", side, "f:1")) for side in (True, False))
    hashes = [rows_sha256(rows) for rows in ([one, other], [other, one], [one], [wanted], [unwanted])]
    assert len(set(hashes)) == 5
    assert rows_sha256([one, other]) == hashes[0]
