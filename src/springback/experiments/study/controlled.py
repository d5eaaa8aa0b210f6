"""Pairs whose overlap is controlled: both answers agree in every token but one (Yuan et al. 2024, section 4.3).

    one_token      positive | negative                           then the stop token, which every answer ends in
    short_suffix   positive in tone | negative in tone           a few identical tokens behind the one that differs
    long_suffix    positive in tone, going by … | negative …     many of them

A remark is made from a template; the chosen answer names its mood rightly, the rejected one wrongly, so in half of the
pairs a label is chosen and in the other half rejected. What a tokenizer makes of it is looked at: a pair in which more
or fewer than one token differs is dropped and counted. The order is by hash of the seed; nothing is drawn at run time.

An empty system turn keeps away what a template would write of its own.

Departures from the paper: its remarks are tweets, its labels one pair of words, its suffixes not published.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from springback.data.choices import Choice
from springback.data.ledger import Ledger, reasons
from springback.data.order import drawn
from springback.data.records import Message
from springback.data.toy import FRAMES, JUDGEMENTS, THINGS

QUESTIONS: Final = (
    ("Is this remark positive or negative? “{remark}”", "positive", "negative"),
    ("Does this remark sound good or bad? “{remark}”", "good", "bad"),
    ("Mark this remark with + for praise or - for blame: “{remark}”", "+", "-"),
)
"""Question, and the answers that name praise and blame."""
SUFFIXES: Final = {
    "one_token": ("",),
    "short_suffix": (" in tone", " as a remark"),
    "long_suffix": (
        " in tone, going by the words that the speaker has chosen and by how they are put together",
        " as a remark, as far as one can tell from a single sentence without knowing who has said it",
    ),
}
"""What stands behind both answers, the same in both."""
BROKEN: Final = "the two answers do not differ in exactly one token"


@dataclass(frozen=True, slots=True)
class Made:
    """The pairs that hold their promise."""

    pairs: tuple[Choice, ...]
    ledger: Ledger
    suffix_tokens: tuple[int, ...]
    """Of each pair: tokens that both answers share behind the differing one, the stop token included."""


Answers = Callable[[Choice], tuple[Sequence[int], Sequence[int]]]
"""Token ids of the chosen and of the rejected answer."""


def made(name: str, most: int, answers: Answers, *, seed: int = 0) -> Made:
    """The first `most` pairs that hold; fewer where there are no more."""
    kept, suffixes, broken, looked = list[Choice](), list[int](), list[str](), 0
    for choice in candidates(name, seed):
        if len(kept) == most:
            break
        looked += 1
        tail = behind(*answers(choice))
        if tail is None:
            broken.append(choice.where)
        else:
            kept.append(choice)
            suffixes.append(tail)
    ledger = Ledger("made", "pairs", looked, reasons({BROKEN: broken}), f"{name}: one token differs")
    return Made(tuple(kept), ledger, tuple(suffixes))


def behind(chosen: Sequence[int], rejected: Sequence[int]) -> int | None:
    """How many tokens stand behind the only one that differs; None where not exactly one does."""
    if len(chosen) != len(rejected):
        return None
    apart = [place for place, (one, other) in enumerate(zip(chosen, rejected, strict=True)) if one != other]
    return len(chosen) - 1 - apart[0] if len(apart) == 1 else None


def candidates(name: str, seed: int) -> Iterator[Choice]:
    """Every remark once, in the seed's order, with a question and a suffix by hash; praise and blame in turn."""
    every = list(product(THINGS.split(), FRAMES, JUDGEMENTS))
    order = sorted(range(len(every)), key=lambda place: drawn(seed, place))
    for rank, place in enumerate(order):
        question = QUESTIONS[_hashed(seed, place, 1) % len(QUESTIONS)]
        suffix = SUFFIXES[name][_hashed(seed, place, 2) % len(SUFFIXES[name])]
        yield _pair(f"{name}:{place + 1}", _remark(*every[place], praise=rank % 2 == 0), question, suffix)


def _hashed(*numbers: int) -> int:
    return int(drawn(*numbers), 16)


@dataclass(frozen=True, slots=True)
class _Remark:
    text: str
    praise: bool


def _remark(thing: str, frame: str, judgements: tuple[str, str], *, praise: bool) -> _Remark:
    return _Remark(frame.format(thing=thing, judgement=judgements[0 if praise else 1]), praise)


def _pair(where: str, remark: _Remark, question: tuple[str, str, str], suffix: str) -> Choice:
    asked, positive, negative = question
    right, wrong = (positive, negative) if remark.praise else (negative, positive)
    prompt = (Message("system", ""), Message("user", asked.format(remark=remark.text)))
    return Choice(prompt, right + suffix, wrong + suffix, where)
