"""Data of our own, made from templates: what `--tiny` audits with, and plain neutral sentences for any data.

Nothing is downloaded. Pairs differ in their judgement only: same thing, same template, near lengths.
"""

import hashlib
from itertools import product
from typing import Final

from springback.data.order import drawn
from springback.data.records import Dataset, Example, Labelled, Message, Pair, Prompt

THINGS: Final = (
    "soup bread cake tea room chair table garden street train song book lamp shirt shoe coat door window walk lesson "
    "game meal road boat"
)
JUDGEMENTS: Final = (
    ("good", "poor"), ("warm and good", "cold and bad"), ("a real joy", "a sad waste"), ("very nice", "very dull"),
    ("better than hoped", "worse than feared"), ("lovely from the start", "dreadful from the start"),
    ("worth every penny", "not worth a penny"), ("bright and clean", "dim and dirty"),
)  # fmt: skip
FRAMES: Final = ("The {thing} was {judgement}.", "We found the {thing} {judgement}.")
PLAIN: Final = (
    "The {thing} is in the list on page two.", "There is one {thing} in the picture.",
    "A {thing} was seen here on Monday.", "The word {thing} stands in the second line.",
)  # fmt: skip
SCORER_SHARE: Final = 3
"""One made pair in three goes to the scorer."""


def load() -> Dataset:
    """256 matched pairs, 96 neutral and 256 scorer rows; the order is fixed and no text decides it."""
    made = [(t, f, j) for t, f, j in product(THINGS.split(), FRAMES, JUDGEMENTS)]
    order = sorted(range(len(made)), key=drawn)
    held = [i for rank, i in enumerate(order) if rank % SCORER_SHARE == SCORER_SHARE - 1]
    pairs = tuple(_pair(i, *made[i]) for i in order if i not in set(held))
    extra = tuple(row for i in held for row in _labelled(_pair(i, *made[i])))
    source = "\n".join(f"{p.wanted}\t{p.opposite}" for p in pairs)
    return Dataset(
        name="made sentences (tiny)", wanted="praise", opposite="blame", prompts="“Say one thing about the {thing}.”",
        pairs=pairs, neutral=plain_sentences(), extra=extra, matched=("thing", "template"), gap={},
        sha256=hashlib.sha256(source.encode()).hexdigest(), licence="Apache-2.0",
    )  # fmt: skip


def plain_sentences() -> tuple[Example, ...]:
    """96 neutral rows, no judgement in them: the neutral text of data that brings none."""
    made = [(thing, frame) for frame, thing in product(PLAIN, THINGS.split())]
    order = sorted(range(len(made)), key=drawn)
    return tuple(
        Example(_prompt(made[i][0]), made[i][1].format(thing=made[i][0]), i + 1, "plain sentences") for i in order
    )


def _pair(index: int, thing: str, frame: str, judgement: tuple[str, str]) -> Pair:
    wanted, opposite = (frame.format(thing=thing, judgement=each) for each in judgement)
    return Pair(_prompt(thing), wanted, opposite, (f"made:{index + 1}", f"made:{index + 1}"))


def _labelled(pair: Pair) -> tuple[Labelled, Labelled]:
    wanted, opposite = pair.where
    return (
        Labelled(pair.wanted, wanted=True, where=wanted, prompt=pair.prompt),
        Labelled(pair.opposite, wanted=False, where=opposite, prompt=pair.prompt),
    )


def _prompt(thing: str) -> Prompt:
    return (Message("user", f"Say one thing about the {thing}."),)
