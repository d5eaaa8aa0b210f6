"""Pairs whose overlap is controlled keep their promise in tokens, whatever the tokenizer."""

from itertools import islice

import pytest

from springback.data.toy import JUDGEMENTS
from springback.experiments.study.config import CONTROLLED
from springback.experiments.study.controlled import behind, candidates, made


def by_byte(choice):
    return tuple([*list(text.encode()), 256] for text in (choice.chosen, choice.rejected))


def by_word(choice):
    """One token a word, as a tokenizer that knows all of them has it."""
    return tuple(
        [*(int.from_bytes(word.encode()) for word in text.split(" ")), 0] for text in (choice.chosen, choice.rejected)
    )


@pytest.mark.parametrize("name", CONTROLLED)
@pytest.mark.parametrize("answers", [by_byte, by_word])
def test_exactly_one_token_differs_in_every_pair_that_is_kept(name, answers):
    found = made(name, 40, answers)
    assert len(found.pairs) == 40
    for choice, tail in zip(found.pairs, found.suffix_tokens, strict=True):
        chosen, rejected = answers(choice)
        assert sum(one != other for one, other in zip(chosen, rejected, strict=True)) == 1
        assert chosen[len(chosen) - tail :] == rejected[len(rejected) - tail :]
        assert chosen[len(chosen) - tail - 1] != rejected[len(rejected) - tail - 1]


def test_what_a_tokenizer_breaks_is_counted_and_no_more_is_looked_at_than_needed():
    ledger = made("one_token", 10, by_byte).ledger
    assert ledger.kept == 10
    assert ledger.dropped[0].n == ledger.read - 10 > 0  # positive and negative differ in several bytes
    assert made("one_token", 10, by_word).ledger.dropped == ()


def test_the_shared_suffix_grows_from_set_to_set():
    tails = [made(name, 20, by_word).suffix_tokens for name in CONTROLLED]
    assert set(tails[0]) == {1}  # the stop token
    assert max(tails[0]) < min(tails[1])
    assert max(tails[1]) < 10 < min(tails[2])


def test_the_seed_decides_the_order_and_nothing_else_does():
    first, again, other = (list(islice(candidates("long_suffix", seed), 50)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({choice.prompt for choice in candidates("long_suffix", 0)}) == 384


def test_each_label_is_chosen_as_often_as_rejected_and_names_the_mood_rightly():
    pairs = list(candidates("one_token", 0))
    good = {"positive", "good", "+"}
    praise = [choice.chosen in good for choice in pairs]
    assert sum(praise) == len(praise) / 2
    for choice, right in zip(pairs, praise, strict=True):
        assert (choice.rejected in good) is not right
        said = choice.prompt[-1].content
        assert any(word in said for word in PRAISE) is right


PRAISE = tuple(f"{end}" for praise, _ in JUDGEMENTS for end in (f"was {praise}.”", f"{praise}.”"))


def test_behind_counts_the_tokens_after_the_only_one_that_differs():
    assert behind([1, 2, 3], [1, 9, 3]) == 1
    assert behind([1, 2, 3], [9, 2, 3]) == 2
    assert behind([1, 2, 3], [1, 2, 3]) is None
    assert behind([1, 2, 3], [9, 2, 9]) is None
    assert behind([1, 2], [1, 2, 3]) is None
