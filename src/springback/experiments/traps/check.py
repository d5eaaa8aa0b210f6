"""What one check found."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Outcome = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Check:
    """One trap: whether it is closed here, and how that is known."""

    name: str
    outcome: Outcome
    why: str


class Found(NamedTuple):
    """A check without its name."""

    outcome: Outcome
    why: str


EMPTY: Final = {"role": "system", "content": ""}
QUESTION: Final = {"role": "user", "content": "What is the capital of France?"}
