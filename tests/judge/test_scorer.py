import math
import random

import pytest

from springback.data.records import Labelled
from springback.errors import RefusedError
from springback.judge import lexicon, linear
from springback.judge.choose import choose
from springback.judge.lexicon_words import BLAME, PRAISE
from springback.judge.scorer import absent, judged, shuffled

GOOD, BAD = ("fine", "lovely", "warm"), ("dull", "cold", "harsh")


def made(n, *, seed=0, noise=0.0):
    """Rows of filler words with one telling word each; `noise` is the share of wrong labels."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        wanted = i % 2 == 0
        filler = " ".join(draw.choice(("film", "story", "scene", "actor", "music", "plot")) for _ in range(6))
        word = draw.choice(GOOD if wanted != (draw.random() < noise) else BAD)
        rows.append(Labelled(f"{filler} {word} {i}x{seed}", wanted=wanted, where=f"made:{i}"))
    return rows


def labelled(*wanted):
    return [Labelled(str(i), wanted=side, where=f"made:{i}") for i, side in enumerate(wanted)]


def test_the_classifier_tells_apart_what_words_tell_apart():
    scorer = linear.fit(made(300), made(150, seed=1))
    assert scorer.reportable
    assert scorer.auc.estimate == pytest.approx(1.0, abs=0.01)
    assert scorer.accuracy.estimate == pytest.approx(1.0, abs=0.03)
    high, low = scorer(["a lovely story", "a harsh story"])
    assert high > 0.7 > 0.3 > low


def test_shuffled_labels_take_the_classifier_to_a_coin():
    rows, held_out = made(600), made(300, seed=1)
    sides = shuffled([row.wanted for row in rows], 99)
    chance = [Labelled(row.text, wanted=side, where=row.where) for row, side in zip(rows, sides, strict=True)]
    scorer = linear.fit(chance, held_out)
    assert not scorer.reportable
    assert "AUC" in str(scorer.why)
    placebo = linear.fit(rows, held_out).placebo_auc
    assert abs((placebo.estimate or 0) - 0.5) < 0.1
    assert placebo.n == 8


def test_permuted_labels_in_the_data_are_never_reportable():
    reportable = 0
    for seed in range(20):
        draw = random.Random(seed)
        rows = [Labelled(r.text, wanted=draw.random() < 0.5, where=r.where) for r in made(60, seed=seed)]
        reportable += linear.fit(rows[:40], rows[40:]).reportable
    assert reportable <= 2


def test_an_auc_of_chance_size_is_not_reportable_however_high_it_is():
    read = lambda texts: [0.9, 0.6, 0.2, 0.7][: len(texts)]
    scorer = judged("few", read, labelled(True, True, False, False))
    assert (scorer.auc.estimate, scorer.reportable) == (0.75, False)
    assert "chance" in str(scorer.why)


def test_the_threshold_decides_and_is_named():
    held_out = made(200, seed=1, noise=0.25)
    low, high = (linear.fit(made(400, noise=0.25), held_out, threshold=t) for t in (0.65, 0.9))
    assert low.reportable
    assert not high.reportable
    assert "0.90" in str(high.why)


def test_accuracy_counts_scores_above_a_half():
    scorer = judged("s", lambda texts: [0.9, 0.4, 0.5, 0.1], labelled(True, True, False, False))
    assert scorer.accuracy.estimate == 0.75
    assert scorer.accuracy.low < 0.75 < scorer.accuracy.high
    perfect = judged("s", lambda texts: [float(int(t) % 2) for t in texts], labelled(*[False, True] * 10))
    assert perfect.accuracy.high == 1.0
    assert perfect.accuracy.low == pytest.approx(0.8389, abs=1e-3)  # 20 / (20 + 1.96²)


def test_the_same_rows_give_the_same_scorer():
    one, two = (linear.fit(made(200), made(100, seed=1)) for _ in range(2))
    assert one.json() == two.json()
    assert one(["a lovely film"]) == two(["a lovely film"])


def test_a_text_is_scored_alike_alone_and_among_others():
    scorer = linear.fit(made(200), made(100, seed=1))
    texts = ["a lovely film", "", "dull", "words nobody knows"]
    assert scorer(texts) == [scorer([text])[0] for text in texts]
    assert scorer([]) == []


@pytest.mark.parametrize(
    "rows", [[], labelled(True, True, True), [Labelled("?!", wanted=w, where="") for w in (True, False)]]
)
def test_rows_that_teach_nothing_make_no_scorer_but_a_reason(rows):
    scorer = linear.fit(rows, made(10))
    assert not scorer.reportable
    assert scorer.why
    assert scorer.json()["auc"]["estimate"] is None
    with pytest.raises(RefusedError, match="no scorer"):
        scorer(["x"])


def test_a_scorer_without_held_out_rows_is_not_reportable():
    scorer = linear.fit(made(50), [])
    assert not scorer.reportable
    assert scorer.why
    assert not judged("one kind", lambda texts: [0.5] * len(texts), labelled(True, True)).reportable


def test_what_is_known_about_the_rows_stands_beside_a_reportable_score():
    scorer = linear.fit(made(200), made(100, seed=1), why="its answers also stand elsewhere")
    assert scorer.reportable
    assert scorer.why == "its answers also stand elsewhere"
    assert absent("s", "no rows").why == "no rows"


@pytest.mark.parametrize(
    "given", [[0.5], [0.5, 1.2], [0.5, -0.1], [0.5, math.nan], [0.5, "1"], [0.5, None], [True, 0.5]]
)
def test_scores_that_are_no_probabilities_are_refused(given):
    scorer = judged("mine", lambda texts: given if texts == ["a", "b"] else [0.5] * len(texts), labelled(True, False))
    with pytest.raises(RefusedError) as caught:
        scorer(["a", "b"])
    assert caught.value.kind == "scorer"
    assert "mine" in caught.value.message


def test_the_lexicon_counts_praise_and_blame():
    assert lexicon.counted("A good, warm, dull film.") == (2, 1)
    assert lexicon.score(["A good, warm, dull film.", "A film."]) == [3 / 5, 1 / 2]


@pytest.mark.parametrize("text", ["not good", "It isn't a good film", "It isn’t good", "never very good", "no good"])
def test_a_negation_turns_the_next_words_round(text):
    assert lexicon.counted(text) == (0, 1)


@pytest.mark.parametrize("text", ["not this, good", "not one two three good", "It is not. Good"])
def test_a_negation_reaches_three_words_and_no_further_than_a_comma(text):
    assert lexicon.counted(text) == (1, 0)


def test_the_word_lists_are_disjoint_and_large():
    assert not PRAISE & BLAME
    assert min(len(PRAISE), len(BLAME)) >= 140


def test_what_is_not_fitted_is_measured_on_all_rows():
    fit, held_out = made(40), made(20, seed=1)
    scorer = choose("lexicon", fit=fit, held_out=held_out)
    assert (scorer.fitted_on, scorer.held_out) == (0, 60)
    scorer = choose(None, fit=fit, held_out=held_out)
    assert (scorer.fitted_on, scorer.held_out) == (40, 20)
