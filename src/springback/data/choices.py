"""What preference data says: a better and a worse answer, several ranked ones, or one that is wanted or not."""

from dataclasses import dataclass

from springback.data.records import Prompt


@dataclass(frozen=True, slots=True)
class Choice:
    """Two answers to one prompt, the better one first."""

    prompt: Prompt
    chosen: str
    rejected: str
    where: str
    """`file:line` of the row it comes from; several pairs may come from one row."""
    scores: tuple[float, float] | None = None
    """Of the chosen and of the rejected answer, where the data has them; higher is better."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Two or more answers to one prompt, the best first."""

    prompt: Prompt
    answers: tuple[str, ...]
    relevance: tuple[float, ...]
    """How good each is, never rising; where the data has no scores, how many answers stand behind it."""
    where: str
    scored: bool = False
    """Whether `relevance` are the data's own scores."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer to one prompt, to become likelier or not."""

    prompt: Prompt
    answer: str
    wanted: bool
    where: str


Row = Choice | Ranking | Judged


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that carries no preference, with the reason."""

    why: str
    where: str


EMPTY = "an answer is empty"
SAME = "both answers are the same"
TIE = "both answers have the same score"
"""Reasons for which a row is dropped; the others stand where they are found."""
