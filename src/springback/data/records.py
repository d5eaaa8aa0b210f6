"""What the readers hand on: messages, rows, matched pairs, and a dataset with what is known about it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn, as it was written; an empty system turn is a turn."""

    role: Role
    content: str


Prompt = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One answer to one prompt."""

    prompt: Prompt
    answer: str
    line: int
    """Line of the file, from 1."""
    file: str = ""
    """Name of the file, without its folder."""
    other: str | None = field(default=None, compare=False)
    """The other answer to the same prompt, where the row is one side of a pair."""
    wanted: bool | None = field(default=None, compare=False)
    """Which side of a pair the row is; None where it is none."""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def key(self) -> tuple[str, str]:
        """Equal for rows that a reader would call the same: letter case and runs of white space do not count."""
        return said(self.prompt), plain(self.answer)


@dataclass(frozen=True, slots=True)
class Pair:
    """A wanted and an opposite answer, under one prompt unless `opposite_prompt` says otherwise."""

    prompt: Prompt
    wanted: str
    opposite: str
    where: tuple[str, str]
    """`file:line` of the wanted and of the opposite answer."""
    opposite_prompt: Prompt | None = None
    """The opposite answer's own prompt, where the two were not matched by prompt."""

    @property
    def align(self) -> Example:
        """The row that teaches what is wanted."""
        other = self.opposite if self.opposite_prompt is None else None
        return _row(self.prompt, self.wanted, self.where[0], other, wanted=True)

    @property
    def reverse(self) -> Example:
        """The row that teaches the opposite."""
        other = self.wanted if self.opposite_prompt is None else None
        return _row(self.opposite_prompt or self.prompt, self.opposite, self.where[1], other, wanted=False)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text for a scorer to learn from or to be measured on."""

    text: str
    wanted: bool
    where: str
    prompt: Prompt = ()

    @property
    def key(self) -> tuple[str, str]:
        """As `Example.key`."""
        return said(self.prompt), plain(self.text)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows that were read and are not used, with the reason."""

    why: str
    n: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Matched pairs, neutral rows, rows for a scorer, and what a reader of the page is told about them."""

    name: str
    wanted: str
    """What the wanted side is, in a word or two: positive."""
    opposite: str
    prompts: str
    """What the prompts look like."""
    pairs: tuple[Pair, ...]
    neutral: tuple[Example, ...]
    extra: tuple[Labelled, ...]
    """Labelled rows in no pair."""
    matched: tuple[str, ...]
    """What the two sides of a pair have in common."""
    gap: dict[str, Any]
    """What still differs between the sides; every entry's name says its unit."""
    sha256: str
    licence: str | None
    rows_dropped: tuple[Dropped, ...] = ()
    warnings: tuple[str, ...] = ()
    paper: str | None = None
    """Key in `references.bib`."""
    files: tuple[str, ...] = field(default=())

    def json(self) -> dict[str, Any]:
        """The body of a run's `data` record: counts, never texts."""
        told = ("name", "wanted", "opposite", "prompts", "matched", "gap", "sha256", "licence", "warnings", "paper",
                "files")  # fmt: skip
        body = {name: getattr(self, name) for name in told}
        counts = {"pairs": len(self.pairs), "neutral": len(self.neutral), "extra": len(self.extra)}
        return {**body, **counts, "rows_dropped": [asdict(each) for each in self.rows_dropped]}


def plain(text: str) -> str:
    """The text without differences of letter case and white space."""
    return " ".join(text.split()).casefold()


def said(prompt: Sequence[Message]) -> str:
    """A prompt as one string, for comparing prompts."""
    return "\x00".join(f"{turn.role}\x00{plain(turn.content)}" for turn in prompt)


def _row(prompt: Prompt, answer: str, where: str, other: str | None, *, wanted: bool) -> Example:
    file, _, line = where.rpartition(":")
    return Example(prompt, answer, int(line), file, other, wanted)
