import hashlib
from collections import Counter

import pytest

from springback.data import film_reviews
from springback.data.film_matching import (
    LENGTHS,
    NEUTRAL_ROWS,
    PAIRS,
    PAIRS_A_NOUN,
    Snippet,
    matched,
    neutral_like,
    nouns_in,
    plural,
)
from springback.data.film_nouns import NOUNS
from springback.data.records import plain
from springback.data.sets import split
from springback.data.sizes import Sizes
from springback.judge import linear
from springback.store.fetch import cache_dir

FILE = cache_dir() / "data" / film_reviews.FILE


@pytest.fixture(scope="module")
def real():
    if not FILE.exists():
        pytest.skip("the film reviews are not in the cache: an audit fetches them")
    return film_reviews.load()


def about(noun, line, rating, size=60):
    return Snippet(line, rating, f"The {noun} ".ljust(size, "x"))


def test_nouns_are_found_in_singular_and_plural_as_whole_words():
    assert nouns_in("Two stories, one WOMAN; filmic series.") == {"story", "woman", "series"}
    assert nouns_in("the actors' storyteller and his filmography") == {"actor"}
    assert [plural(noun) for noun in ("story", "boy", "actress", "hero", "film")] == [
        "stories", "boys", "actresses", "heroes", "films",
    ]  # fmt: skip


def test_the_nouns_are_listed_once_and_no_plural_is_another_noun():
    assert len(set(NOUNS)) == len(NOUNS)
    assert not {plural(noun) for noun in NOUNS if plural(noun) != noun} & set(NOUNS)


def test_a_positive_gets_the_negative_of_its_noun_that_is_nearest_in_length():
    positive = [about("film", 1, 2.0, 60)]
    negative = [about("film", 2, -2.0, 64), about("film", 3, -2.0, 59), about("story", 4, -2.0, 60)]
    assert [(m.noun, m.wanted.line, m.opposite.line) for m in matched(positive, negative)] == [("film", 1, 3)]
    assert matched(positive, [about("film", 2, -2.0, 60 + LENGTHS.gap + 1)]) == []
    assert matched([about("film", 1, 2.0, LENGTHS.longest + 1)], [about("film", 2, -2.0, LENGTHS.longest + 1)]) == []


def test_a_row_is_used_once_and_a_noun_a_few_times():
    positive = [about("film", i, 2.0) for i in range(100)]
    negative = [about("film", i, -2.0) for i in range(100, 200)]
    found = matched(positive, negative)
    assert len(found) == PAIRS_A_NOUN
    lines = [s.line for m in found for s in (m.wanted, m.opposite)]
    assert len(set(lines)) == len(lines)
    assert len(neutral_like(found, [about("film", 300, 0.0), about("story", 301, 0.0)])) == 1


def test_a_neutral_row_is_used_once_and_is_near_in_length():
    found = matched([about("film", i, 2.0) for i in range(4)], [about("film", i, -2.0) for i in range(4, 8)])
    near, far = about("film", 9, 0.0, 60), about("film", 10, 0.0, 60 + LENGTHS.neutral_gap + 1)
    assert neutral_like(found, [near, far]) == [("film", near)]


def test_texts_are_kept_but_for_white_space_at_their_ends_and_equal_ones_are_read_once():
    lines = ["1\t2.5\t  A ''film''    that works.  ", "2\t1.5\ta ''FILM'' that works.", "3\t-0.7\tSlow."]
    lines += [f"4\t2.0\t{about('plot', 4, 2.0).text}", f"5\t-2.0\t{about('plot', 5, -2.0).text}."]
    data = film_reviews.dataset("\r\n".join(lines))
    assert [(row.text, row.wanted) for row in data.extra] == [("A ''film''    that works.", True), ("Slow.", False)]
    assert data.rows_dropped[0].n == 1
    assert [p.where for p in data.pairs] == [(f"{film_reviews.FILE}:4", f"{film_reviews.FILE}:5")]


def test_the_real_data_has_826_pairs_160_neutral_rows_and_8418_for_the_scorer(real):
    assert (len(real.pairs), len(real.neutral), len(real.extra)) == (PAIRS, NEUTRAL_ROWS, 8418)
    assert [dropped.n for dropped in real.rows_dropped] == [2, 373]
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == film_reviews.SHA256
    lines = [where for p in real.pairs for where in p.where] + [row.where for row in (*real.neutral, *real.extra)]
    assert len(set(lines)) == len(lines) == 10_605 - 2 - 373


def test_the_real_pairs_are_what_the_page_says(real):
    ratings = dict(line.split("\t")[:2] for line in FILE.read_text("utf-8").splitlines())
    for p in real.pairs:
        wanted, opposite = (float(ratings[where.rpartition(":")[2]]) for where in p.where)
        assert wanted >= 1
        assert opposite <= -1
        assert abs(len(p.wanted.encode()) - len(p.opposite.encode())) <= LENGTHS.gap
        noun = p.prompt[1].content.removesuffix(".").rpartition(" ")[2]
        assert noun in nouns_in(p.wanted) & nouns_in(p.opposite)
        assert p.prompt[0].content == ""
    gap = real.json()["gap"]
    assert abs(gap["bytes_wanted"] - gap["bytes_opposite"]) < 0.5
    assert abs(gap["strength_of_rating_wanted"] - gap["strength_of_rating_opposite"]) < 0.1
    assert sum(gap["pairs_of_a_noun"].values()) == PAIRS


def test_prefixes_of_the_real_data_have_many_nouns(real):
    for n in (32, 128):
        counts = Counter(p.prompt[1].content for p in real.pairs[:n])
        assert max(counts.values()) <= n // 8


def test_the_scorer_of_the_real_data_reads_and_has_seen_nothing_that_is_measured(real):
    sets = split(real.pairs, real.neutral, real.extra, Sizes(align=128, reverse=64, measure=48), seed=0)
    seen = {plain(row.text) for row in sets.scorer_fit}
    tuned = {plain(row.answer) for row in (*sets.align, *sets.reverse, *sets.benign, *sets.continuation, *sets.neutral)}
    assert not seen & tuned
    assert not seen & {plain(t) for p in sets.measuring for t in (p.wanted, p.opposite)}
    assert not seen & {plain(row.text) for row in sets.scorer_held_out}
    scorer = linear.fit(sets.scorer_fit, sets.scorer_held_out)
    assert (scorer.fitted_on, scorer.held_out, scorer.reportable) == (7418, 1000, True)
    assert 0.78 < (scorer.accuracy.estimate or 0) < 0.84
    assert 0.86 < (scorer.auc.estimate or 0) < 0.91
    assert abs((scorer.placebo_auc.estimate or 0) - 0.5) < 0.05
