"""Whether a model still answers: simple shares over its answers, and the state *answers* or *degenerate*.

Words are runs of letters and digits; each character of a script without blanks is a word.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final, Literal, NamedTuple

from springback.data.records import plain
from springback.judge.refusals import is_refusal

WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
UNIT: Final = re.compile(r"(.{1,8}?)\1{7,}", re.DOTALL)
"""One to eight characters, eight times in a row or more."""
UNDECODABLE: Final = "\ufffd"
"""Stands for bytes that are no text; a row of them alone is no loop."""
GRAM: Final = 3
"""Words in the n-grams of `repetition`."""


class Limits(NamedTuple):
    """Shares of the answers from which on a model counts as degenerate."""

    same: float = 0.8
    """One and the same answer (letter case, punctuation and white space aside)."""
    word: float = 0.6
    """One word among all words, where answers have two words or more on average."""
    empty: float = 0.5
    looping: float = 0.5
    """Answers of which half or more repeats itself."""
    refusing: float = 0.9
    fewest: int = 4
    """Answers below which nothing is said."""


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class State:
    """Whether the answers are answers; `why` where they are not."""

    name: Literal["answers", "degenerate"]
    why: str | None = None


def quality(texts: Sequence[str], ended: Sequence[bool]) -> dict[str, float]:
    """Shares in [0, 1] over the answers; 0 where there is nothing to count.

    `distinct_1`, `distinct_2`: different words and word pairs among all, over all answers together. `repetition`:
    three-word runs that stood earlier in the same answer, mean over answers that have one. `ended`: answers that the
    model ended itself. `empty`: answers without a visible character.
    """
    said = [words(text) for text in texts]
    return {
        "distinct_1": _distinct(word for each in said for word in each),
        "distinct_2": _distinct(pair for each in said for pair in pairwise(each)),
        "repetition": _mean([_repeated(each) for each in said if len(each) >= GRAM]),
        "ended": _mean([float(each) for each in ended]),
        "empty": _mean([float(not text.strip()) for text in texts]),
    }


def state(texts: Sequence[str], *, data: Sequence[str] = (), limits: Limits = LIMITS) -> State:
    """*degenerate* where the answers are empty, all the same, one word, loops or refusals; else *answers*.

    `data` are answers of the data itself: where one in ten of them refuses, refusing is what the audit is about.
    """
    if len(texts) < limits.fewest:
        return State("answers")
    symptoms = (_empty(texts, limits), _same(texts, limits), _one_word(texts, limits), _looping(texts, limits),
                _refusing(texts, data, limits))  # fmt: skip
    why = next((each for each in symptoms if each), None)
    return State("degenerate", why) if why else State("answers")


def words(text: str) -> list[str]:
    """The text's words in lower case."""
    return WORD.findall(text.casefold())


def loops(text: str) -> bool:
    """Whether half of the text or more repeats what stood before it in the same text."""
    said = words(text)
    return (len(said) > GRAM and _repeated(said) >= 0.5) or _covered(text) >= 0.5


def _empty(texts: Sequence[str], limits: Limits) -> str | None:
    share = _mean([float(not text.strip()) for text in texts])
    return f"says nothing: {share:.0%} of the answers are empty" if share >= limits.empty else None


def _same(texts: Sequence[str], limits: Limits) -> str | None:
    (answer, n), *_ = Counter(" ".join(words(text)) or plain(text) for text in texts).most_common(1)
    share = n / len(texts)
    return f"one answer to {share:.0%} of the prompts: “{answer[:60]}”" if share >= limits.same else None


def _one_word(texts: Sequence[str], limits: Limits) -> str | None:
    counts = Counter(word for text in texts for word in words(text))
    if counts.total() < 2 * len(texts):
        return None
    ((word, n),) = counts.most_common(1)
    share = n / counts.total()
    return f"one word: “{word[:60]}” is {share:.0%} of all words" if share >= limits.word else None


def _looping(texts: Sequence[str], limits: Limits) -> str | None:
    share = _mean([float(loops(text)) for text in texts])
    return f"loops: {share:.0%} of the answers repeat themselves" if share >= limits.looping else None


def _refusing(texts: Sequence[str], data: Sequence[str], limits: Limits) -> str | None:
    if data and _mean([float(is_refusal(text)) for text in data]) >= 1 - limits.refusing:
        return None
    share = _mean([float(is_refusal(text)) for text in texts])
    return f"refuses {share:.0%} of the prompts" if share >= limits.refusing else None


def _repeated(said: Sequence[str]) -> float:
    grams = [tuple(said[i : i + GRAM]) for i in range(len(said) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _covered(text: str) -> float:
    repeated = (len(run[0]) for run in UNIT.finditer(text) if run[1].strip().strip(UNDECODABLE))
    return sum(repeated) / max(1, len(text))


def _distinct(grams: Iterable[object]) -> float:
    every = list(grams)
    return len(set(every)) / len(every) if every else 0.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
