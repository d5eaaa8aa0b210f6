"""Which snippets belong together: the same noun, the nearest length; deterministic, each row at most once."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from springback.data.film_nouns import IRREGULAR, NOUNS
from springback.data.order import drawn


class Snippet(NamedTuple):
    """One row of the source file."""

    line: int
    rating: float
    """Mean of 15–29 raters, −4 to +4."""
    text: str

    @property
    def bytes(self) -> int:
        return len(self.text.encode())


class Match(NamedTuple):
    """Two snippets about one noun."""

    noun: str
    wanted: Snippet
    opposite: Snippet


@dataclass(frozen=True, slots=True)
class Lengths:
    """UTF-8 bytes."""

    shortest: int = 40
    longest: int = 160
    """With prompt and stop token a row stays near 64 tokens; longer snippets go to the scorer."""
    gap: int = 5
    """Within a pair."""
    neutral_gap: int = 16
    """Between a neutral row and the positive that it is matched to: there are few neutral rows."""


LENGTHS: Final = Lengths()
PAIRS_A_NOUN: Final = 8
"""Otherwise *film* and *movie* would make up a quarter of the prompts."""
PAIRS: Final = 826
"""Enough for nested sizes of 512 and 256 with their placebos; more would take rows from the scorer."""
NEUTRAL_ROWS: Final = 160


def matched(positive: Iterable[Snippet], negative: Iterable[Snippet]) -> list[Match]:
    """At most `PAIRS` matches in a fixed order that no text decides. The rarest nouns choose first."""
    sides = [[s for s in side if LENGTHS.shortest <= s.bytes <= LENGTHS.longest] for side in (positive, negative)]
    about = [_by_noun(side) for side in sides]
    supply = {noun: min(len(about[0][noun]), len(about[1][noun])) for noun in NOUNS}
    used: set[int] = set()
    found: list[Match] = []
    for noun in sorted(NOUNS, key=lambda noun: (supply[noun], noun)):
        found += _of_noun(noun, about[0][noun], about[1][noun], used)
    return sorted(found, key=lambda match: drawn(match.wanted.line, match.opposite.line))[:PAIRS]


def neutral_like(matches: Sequence[Match], neutral: Iterable[Snippet]) -> list[tuple[str, Snippet]]:
    """At most `NEUTRAL_ROWS` neutral snippets with the noun, and nearly the length, of a match, in the same order."""
    about = _by_noun(neutral)
    used: set[int] = set()
    found: list[tuple[str, Snippet]] = []
    for match in matches:
        nearest = _nearest(match.wanted, about[match.noun], used, LENGTHS.neutral_gap)
        if nearest is not None and len(found) < NEUTRAL_ROWS:
            used.add(nearest.line)
            found.append((match.noun, nearest))
    return found


def nouns_in(text: str) -> set[str]:
    """The listed nouns, in the singular, that the text names in the singular or plural."""
    return {SINGULAR[word] for word in re.findall(r"[a-z]+", text.lower()) if word in SINGULAR}


def plural(noun: str) -> str:
    """The English plural by rule, or the exception."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|ch|sh)$", noun) else f"{noun}s"


SINGULAR: Final = {plural(noun): noun for noun in NOUNS} | {noun: noun for noun in NOUNS}


def _of_noun(noun: str, wanted: list[Snippet], opposite: list[Snippet], used: set[int]) -> list[Match]:
    found: list[Match] = []
    for each in sorted(wanted, key=lambda s: drawn(s.line)):
        if each.line in used or len(found) == PAIRS_A_NOUN:
            continue
        if (nearest := _nearest(each, opposite, used, LENGTHS.gap)) is not None:
            used |= {each.line, nearest.line}
            found.append(Match(noun, each, nearest))
    return found


def _nearest(to: Snippet, among: Iterable[Snippet], used: set[int], gap: int) -> Snippet | None:
    free = [(abs(s.bytes - to.bytes), s.line, s) for s in among if s.line not in used]
    distance, _, nearest = min(free, default=(gap + 1, 0, None))
    return nearest if distance <= gap else None


def _by_noun(snippets: Iterable[Snippet]) -> dict[str, list[Snippet]]:
    about: dict[str, list[Snippet]] = {noun: [] for noun in NOUNS}
    for snippet in snippets:
        for noun in nouns_in(snippet.text):
            about[noun].append(snippet)
    return about
