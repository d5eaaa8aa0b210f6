"""The default data: film-review snippets with 15–29 ratings each, a positive matched with a negative one.

C.J. Hutto and E. Gilbert, *VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text*,
ICWSM 2014. The file stands in the source archive of `vaderSentiment` 3.3.2 (MIT): 10,605 lines of number, mean rating
from −4 to +4, and text, tab-separated. Texts are taken as they are, artefacts of tokenisation included (doubled
quotes, dashes that became blanks); only white space at the ends is removed.

A positive (mean ≥ 1) is paired with the negative (mean ≤ −1) that names the same noun and is nearest in length; the
noun goes into the prompt, so both sides share one distribution of prompts. Every row is used at most once.

What it does not guarantee: pairs agree in noun and length, not in anything else that a film review says.
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from springback.data.film_matching import LENGTHS, Match, Snippet, matched, neutral_like
from springback.data.records import Dataset, Dropped, Example, Labelled, Message, Pair, Prompt, plain
from springback.papers import VADER
from springback.store.fetch import Package, cache_dir, fetch_member

PACKAGE: Final = Package(
    name="vaderSentiment", version="3.3.2", bytes=2_466_783, licence="MIT", sdist=True,
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)  # fmt: skip
FILE: Final = "movieReviewSnippets_GroundTruth.txt"
MEMBER: Final = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
NESTED: Final = (f"hutto_ICWSM_2014/{FILE}",)
SHA256: Final = "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350"
"""Of the snippets' file itself."""
BYTES: Final = 1_383_098
POSITIVE: Final = 1.0
"""Smallest mean rating of a wanted snippet; an opposite one has at most its negative."""
NEUTRAL: Final = 0.5
"""Mean ratings nearer to 0 than this are neutral."""


def fetch(*, from_file: Path | None = None) -> Path:
    """The snippets' file in the cache, fetched once; `from_file` is the archive on disk, then no registry is asked."""
    into = cache_dir() / "data" / FILE
    return fetch_member(
        PACKAGE, MEMBER, into=into, sha256=SHA256, max_bytes=4 * BYTES, nested=NESTED, from_file=from_file
    )


def load(*, from_file: Path | None = None) -> Dataset:
    """826 matched pairs, 160 neutral rows, and every other row with a sign for the scorer. Always in one order."""
    return dataset(fetch(from_file=from_file).read_bytes().decode("utf-8"))


@lru_cache(maxsize=1)
def dataset(text: str) -> Dataset:
    """The dataset out of the file's text."""
    every = [_snippet(line) for line in text.split("\r\n") if line]
    snippets = list({plain(each.text): each for each in reversed(every)}.values())[::-1]  # the first of equal ones
    neutral_rows = [s for s in snippets if abs(s.rating) < NEUTRAL]
    matches = matched([s for s in snippets if s.rating >= POSITIVE], [s for s in snippets if s.rating <= -POSITIVE])
    neutral = neutral_like(matches, neutral_rows)
    used = {s.line for match in matches for s in (match.wanted, match.opposite)}
    rest = [s for s in snippets if s.line not in used and abs(s.rating) >= NEUTRAL]
    return Dataset(
        name="film reviews", wanted="positive", opposite="negative",
        prompts="empty system turn; “One line of a film review, about the {noun}.”",
        pairs=tuple(_pair(m) for m in matches),
        neutral=tuple(Example(prompt(noun), s.text, s.line, FILE) for noun, s in neutral),
        extra=tuple(Labelled(s.text, s.rating > 0, f"{FILE}:{s.line}") for s in rest),
        matched=("noun", f"length within {LENGTHS.gap} bytes"), gap=_gap(matches),
        sha256=SHA256, licence="MIT", paper=VADER.key, files=(FILE,),
        rows_dropped=(
            Dropped("the text of an earlier row", len(every) - len(snippets)),
            Dropped(f"mean rating within ±{NEUTRAL}, not among the neutral rows", len(neutral_rows) - len(neutral)),
        ),
    )  # fmt: skip


def prompt(noun: str) -> Prompt:
    """An explicit empty system turn, so that the template's own text trains nothing; then the noun."""
    return (Message("system", ""), Message("user", f"One line of a film review, about the {noun}."))


def _pair(match: Match) -> Pair:
    where = (f"{FILE}:{match.wanted.line}", f"{FILE}:{match.opposite.line}")
    return Pair(prompt(match.noun), match.wanted.text, match.opposite.text, where)


def _snippet(line: str) -> Snippet:
    number, rating, text = line.split("\t")
    return Snippet(int(number), float(rating), text.strip())


def _gap(matches: list[Match]) -> dict[str, Any]:
    """What the two sides still differ in: means by side, and what the matching held equal, for comparison."""
    sides = {"wanted": [m.wanted for m in matches], "opposite": [m.opposite for m in matches]}
    nouns = Counter(m.noun for m in matches)
    by_side = {
        f"{name}_{side}": round(fmean(of(s) for s in snippets), 3)
        for name, of in MEASURES.items()
        for side, snippets in sides.items()
    }
    apart = round(fmean(abs(m.wanted.bytes - m.opposite.bytes) for m in matches), 3)
    return {
        **by_side,
        "bytes_apart_in_a_pair": apart,
        "nouns": len(nouns),
        "pairs_of_a_noun": dict(nouns.most_common()),
    }


MEASURES: Final[dict[str, Callable[[Snippet], float]]] = {
    "bytes": lambda s: s.bytes,
    "words": lambda s: len(s.text.split()),
    "strength_of_rating": lambda s: abs(s.rating),
}
