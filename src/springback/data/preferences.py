"""Preference data of any format: pairs, ranked answers or labelled ones, with a ledger of what could not be used.

A fault in a row (a wrong type, no prompt) is refused with file and line, as in every reader here. A row that is whole
and says nothing is dropped and counted: an empty answer, equal answers, equal scores, dialogues that part too early.
Whether `chosen` and `rejected` are swapped throughout nobody can know from the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from springback.data import film_reviews, parquet, toy
from springback.data.choices import EMPTY, SAME, TIE, Choice, Judged, Ranking, Row, Unusable
from springback.data.ledger import Ledger, reasons
from springback.data.preference_shapes import FORMATS, columns, read_row, shape_of
from springback.data.read import values
from springback.data.records import Dataset, said
from springback.data.scores import Rule, pairs
from springback.data.shapes import At
from springback.data.source import refuse, sha256

Offer = Literal["pairs", "lists", "labels"]
OFFERS: Final[dict[type, Offer]] = {Choice: "pairs", Ranking: "lists", Judged: "labels"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """A whole file: every usable row, in file order, all of one kind."""

    name: str
    rows: tuple[Row, ...]
    shape: str
    """The format that was found."""
    ledger: Ledger
    sha256: str
    """Of the bytes as they lie on the disk."""
    passed_over: tuple[str, ...] = ()
    """Columns that were not looked at."""
    notes: tuple[str, ...] = ()
    """What to know of the rows: repeated pairs, pairs that contradict each other or their scores."""
    licence: str | None = None
    paper: str | None = None

    @property
    def offers(self) -> Offer:
        """What each row is."""
        return OFFERS[type(self.rows[0])]

    def json(self) -> dict[str, Any]:
        """The body of a `data` record: counts, never texts."""
        told = ("name", "shape", "offers", "sha256", "passed_over", "notes", "licence", "paper")
        return {name: getattr(self, name) for name in told} | {"rows": len(self.rows)}


def read_preferences(path: Path | str, *, score_field: str | None = None) -> Preferences:
    """Every row of a `.jsonl`, `.json` (array) or `.parquet` file, `.gz` unpacked.

    `score_field` names the score of an answer in `completions`. RefusedError (kind `data`) names the file, the line
    and the next step; also where no usable row is left.
    """
    path, taken = Path(path), _Taken()
    for row, shape, at in _rows(path):
        taken.unused |= row.keys() - columns(shape)
        taken.shape = shape
        taken.take(_usable(read_row(row, shape, at, field=score_field)))
    ledger = Ledger("read", "rows", taken.count, reasons(taken.places))
    if not taken.rows:
        refuse(f"{path.name} has no usable row: {ledger.sentence()}.", where=str(path), next_step=f"Give {FORMATS}.")
    return Preferences(
        path.name, tuple(taken.rows), taken.shape, ledger, sha256(path), tuple(sorted(taken.unused)), _notes(taken.rows)
    )


def of_dataset(dataset: Dataset) -> Preferences:
    """The matched pairs that come with Springback: the wanted answer is the chosen one."""
    rows = tuple(Choice(pair.prompt, pair.wanted, pair.opposite, pair.where[0]) for pair in dataset.pairs)
    return Preferences(
        dataset.name, rows, "matched pairs", Ledger("read", "rows", len(rows)), dataset.sha256,
        licence=dataset.licence, paper=dataset.paper,
    )  # fmt: skip


def built_in(*, tiny: bool) -> Preferences:
    """Film reviews, positive ones chosen; or, for the tiny model, toy sentences."""
    return of_dataset(toy.load() if tiny else film_reviews.load())


@dataclass(frozen=True, slots=True)
class Paired:
    """Pairs, and the ledger of their making; None where the rows were pairs already."""

    pairs: tuple[Choice, ...]
    ledger: Ledger | None = None


def as_pairs(rows: tuple[Row, ...], rule: Rule = "best_worst") -> Paired:
    """Rows as pairs; ranked answers become pairs by the rule. ValueError for labelled answers."""
    if all(isinstance(row, Choice) for row in rows):
        return Paired(tuple(row for row in rows if isinstance(row, Choice)))
    rankings = [row for row in rows if isinstance(row, Ranking)]
    if len(rankings) != len(rows):
        raise ValueError("labelled answers are in no pairs: which of two is better is not in the data")
    taken = _Taken()
    for ranking in rankings:
        for pair in pairs(ranking, rule):
            taken.take(_usable(pair))
    kept = tuple(pair for pair in taken.rows if isinstance(pair, Choice))
    return Paired(kept, Ledger("made of ranked answers", "pairs", taken.count, reasons(taken.places), rule))


def as_lists(rows: tuple[Row, ...]) -> tuple[Ranking, ...]:
    """Rows as rankings; a pair is one of two. ValueError for labelled answers."""
    return tuple(_ranking(row) for row in rows)


def as_labels(rows: tuple[Row, ...]) -> tuple[Judged, ...]:
    """Rows as labelled answers; a pair is two of them, the chosen one first. ValueError for ranked answers."""
    return tuple(judged for row in rows for judged in _judged(row))


def _ranking(row: Row) -> Ranking:
    if isinstance(row, Judged):
        raise ValueError("labelled answers are in no list: which of two is better is not in the data")  # noqa: TRY004
    if isinstance(row, Ranking):
        return row
    return Ranking(row.prompt, (row.chosen, row.rejected), row.scores or (1.0, 0.0), row.where, row.scores is not None)


def _judged(row: Row) -> tuple[Judged, ...]:
    if isinstance(row, Ranking):
        raise ValueError("ranked answers have no labels: where wanted ends is not in the data")  # noqa: TRY004
    if isinstance(row, Judged):
        return (row,)
    return Judged(row.prompt, row.chosen, True, row.where), Judged(row.prompt, row.rejected, False, row.where)  # noqa: FBT003


@dataclass(slots=True)
class _Taken:
    """What was read so far."""

    rows: list[Row] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    """Of what says nothing, by reason."""
    unused: set[str] = field(default_factory=set)
    shape: str = ""
    count: int = 0

    def take(self, one: Row | Unusable) -> None:
        self.count += 1
        if isinstance(one, Unusable):
            self.places.setdefault(one.why, []).append(one.where)
        else:
            self.rows.append(one)


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], str, At]]:
    first = ""
    read = parquet.read(path) if path.suffix == ".parquet" else values(path)
    for count, (line, value) in enumerate(read, start=1):
        at = At(str(path), path.name, line, count)
        shape = shape_of(value, at)
        first = first or shape
        if shape != first:
            at.no(f"This row has the shape “{shape}”, the rows before it “{first}”.", "Keep one shape in a file.")
        yield value, shape, at
    if not first:
        refuse(f"{path.name} is empty.", where=str(path), next_step=f"Give {FORMATS}.")


def _usable(row: Row | Unusable) -> Row | Unusable:
    if isinstance(row, Choice):
        if not row.chosen.strip() or not row.rejected.strip():
            return Unusable(EMPTY, row.where)
        if row.chosen.strip() == row.rejected.strip():
            return Unusable(SAME, row.where)
        if row.scores is not None and row.scores[0] == row.scores[1]:
            return Unusable(TIE, row.where)
    if isinstance(row, Judged) and not row.answer.strip():
        return Unusable(EMPTY, row.where)
    return row


def _notes(rows: list[Row]) -> tuple[str, ...]:
    choices = [row for row in rows if isinstance(row, Choice)]
    keys = [(said(row.prompt), row.chosen.strip(), row.rejected.strip()) for row in choices]
    known = set(keys)
    against = sum((prompt, rejected, chosen) in known for prompt, chosen, rejected in known) // 2
    lower = sum(row.scores is not None and row.scores[0] < row.scores[1] for row in choices)
    told = {
        f"{len(keys) - len(known)} pairs repeat an earlier one; they are kept": len(keys) - len(known),
        f"{against} pairs stand in the data both ways round; both are kept": against,
        f"{lower} chosen answers have a lower score than the rejected one; they are kept as chosen": lower,
    }
    return tuple(text for text, count in told.items() if count)
