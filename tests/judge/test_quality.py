import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springback.judge.quality import LIMITS, loops, quality, state
from springback.judge.refusals import is_refusal

VARIED = [
    "A warm film with a good heart.", "The plot is thin, but the cast is fine.", "Too long by an hour.",
    "Nothing in it is new.", "It made me laugh twice.", "The music carries the second half.", "Slow, and proud of it.",
    "You will forget it by dinner.",
]  # fmt: skip
SHORT = ["yes", "no", "maybe", "Paris", "seven", "blue", "no", "yes"]


def test_the_shares_are_what_a_hand_counts():
    found = quality(["a b a b a b", "c", ""], [True, False, False])
    assert found["distinct_1"] == 3 / 7  # a b c among a b a b a b c
    assert found["distinct_2"] == 2 / 5  # ab ba among ab ba ab ba ab
    assert found["repetition"] == 1 - 2 / 4  # aba bab among aba bab aba bab; only one answer has three words
    assert found["ended"] == 1 / 3
    assert found["empty"] == 1 / 3


def test_no_answers_and_no_words_give_zeros():
    assert set(quality([], []).values()) == {0.0}
    assert quality(["", " "], [False, False])["empty"] == 1.0


@given(st.lists(st.text(max_size=40), max_size=12))
def test_every_share_is_a_share_and_every_state_a_state(texts):
    assert all(0 <= share <= 1 for share in quality(texts, [False] * len(texts)).values())
    found = state(texts)
    assert (found.name == "degenerate") == bool(found.why)


@pytest.mark.parametrize(
    "texts", [VARIED, SHORT, VARIED[:4] + [""] * 3, ["Yes"] * 6 + ["No"] * 3, ["安静的电影", "很好", "不好", "他来了"]]
)
def test_answers_that_differ_are_answers(texts):
    assert state(texts).name == "answers"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["banana"] * 8, "one answer to 100%"),
        (["Banana.", "banana", "BANANA!", "banana "] * 2, "one answer to 100%"),
        (["banana " * k for k in range(1, 9)], "one word"),
        ([f"banana banana banana, {word}" for word in SHORT], "one word"),
        (["The answer is 7."] * 8 + ["No."] * 2, "one answer to 80%"),
        ([""] * 5 + VARIED[:4], "says nothing: 56%"),
        ([" \n"] * 8, "says nothing"),
        (["..."] * 8, "one answer"),
        ([f"{word} went up and down " * 6 for word in SHORT], "loops"),
        ([f"{word}{'ab' * 30}" for word in VARIED], "loops"),
        ([f"I'm sorry, but I can't help with {word}." for word in VARIED], "refuses 100%"),
        ([f"As an AI language model, I cannot say that {word}" for word in VARIED], "refuses 100%"),
    ],
)
def test_broken_models_are_named(texts, said):
    found = state(texts)
    assert found.name == "degenerate"
    assert said in str(found.why)


def test_refusing_is_no_fault_where_the_data_asks_for_it():
    refusals = [f"I cannot help with {word}." for word in SHORT]
    assert state(refusals, data=VARIED).name == "degenerate"
    assert state(refusals, data=[*VARIED, *refusals]).name == "answers"
    assert state(["I cannot."] * 8, data=refusals).name == "degenerate"  # one answer to everything still is


def test_a_few_answers_say_nothing_about_a_state():
    assert state(["banana"] * (LIMITS.fewest - 1)).name == "answers"
    assert state([]).name == "answers"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("letters", [bytes(range(256)), b"abcdefghij .\n", bytes(range(128, 256))])
def test_a_random_model_of_bytes_is_not_called_degenerate(seed, letters):
    draw = random.Random(seed)
    answers = [bytes(draw.choice(letters) for _ in range(draw.randint(1, 24))) for _ in range(8)]
    texts = [raw.decode("utf-8", errors="replace") for raw in answers]
    assert state(texts).name == "answers", texts


def test_loops_are_seen_in_words_and_in_letters():
    assert loops("the end the end the end the end")
    assert loops("so " + "ha" * 12)
    assert not loops("the end of the story is the end of the film")
    assert not loops("---------- a heading and a text that goes on from here")
    assert not loops("\ufffd" * 20)


def test_long_answers_are_read_in_no_time():
    import time

    began = time.perf_counter()
    state([" ".join(random.Random(i).choices(SHORT, k=2000)) + "x" * 5000 for i in range(8)])
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    "answer",
    ["I'm sorry, but I can't help with that.", "I cannot assist.", "Sorry, I can’t do this.", "I won't say.",
     "As an AI language model, I am not able to do so.", "I am unable to comply.", "I must decline."],
)  # fmt: skip
def test_refusals_are_known_by_their_opening(answer):
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    ["I'm sorry for your loss.", "You cannot miss it.", "I can help with that.", "Unfortunately the film is bad.", ""],
)
def test_what_is_no_refusal_is_not_called_one(answer):
    assert not is_refusal(answer)
