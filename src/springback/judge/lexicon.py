"""A scorer that anyone can check by hand: words of praise and blame, counted (`--score lexicon`).

score = (1 + p) / (2 + p + b), with p words of praise and b of blame: ½ where no word is known, near 1 or 0 with many.
A word that stands one to three words after a negation (not, no, never, hardly, …, -n't) counts for the other side;
a comma or a full stop ends the negation's reach.

What it does not guarantee: English only, general words only; irony, intensity and comparison are not read. Its AUC
on the data at hand stands beside every score.
"""

import re
from collections.abc import Sequence
from typing import Final

from springback.data.records import Labelled
from springback.judge.lexicon_words import BLAME, NEGATION, PRAISE
from springback.judge.scorer import AUC, Scorer, judged

NAME: Final = "lexicon of praise and blame"
REACH: Final = 3
"""Words after a negation that it turns round."""
TOKEN: Final = re.compile(r"[a-z]+(?:['’][a-z]+)?|[.,;:!?]")


def scorer(held_out: Sequence[Labelled], *, threshold: float = AUC) -> Scorer:
    """The lexicon as a scorer, measured on the rows given; nothing is fitted."""
    return judged(NAME, score, held_out, threshold=threshold)


def score(texts: Sequence[str]) -> list[float]:
    """(1 + praise) / (2 + praise + blame), one a text."""
    return [_share(*counted(text)) for text in texts]


def counted(text: str) -> tuple[int, int]:
    """Words of praise and of blame in the text, negations taken into account."""
    praise = blame = reach = 0
    for token in TOKEN.findall(text.lower()):
        word = token.replace("’", "'")
        good, bad = word in PRAISE, word in BLAME
        if reach:
            good, bad = bad, good
        praise, blame = praise + good, blame + bad
        reach = _reach(word, reach)
    return praise, blame


def _reach(word: str, left: int) -> int:
    if word in NEGATION or word.endswith("n't"):
        return REACH
    return 0 if not word[0].isalpha() else max(0, left - 1)


def _share(praise: int, blame: int) -> float:
    return (1 + praise) / (2 + praise + blame)
