"""What became of rows: as many as came in go on or are dropped, by reason, with the places of the first ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FIRST: Final = 3
"""Places named for each reason."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Rows that were left out alike."""

    why: str
    n: int
    first: tuple[str, ...]
    """`file:line` of the first few."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One stage of the data: rows in = rows out + dropped."""

    stage: str
    """What happened to the rows: read, tokenised."""
    unit: str
    """What is counted: rows, pairs."""
    read: int
    dropped: tuple[Reason, ...] = ()
    rule: str | None = None
    """How rows were made out of rows, where they were."""

    @property
    def kept(self) -> int:
        return self.read - sum(reason.n for reason in self.dropped)

    def json(self) -> dict[str, Any]:
        """As records and results carry it."""
        reasons = [{"why": each.why, "n": each.n, "first": list(each.first)} for each in self.dropped]
        return {"stage": self.stage, "unit": self.unit, "read": self.read, "kept": self.kept, "dropped": reasons,
                "rule": self.rule}  # fmt: skip

    def sentence(self) -> str:
        """In words: 100 rows read, 97 kept; 3 dropped: …"""
        gone = "; ".join(f"{each.n} dropped: {each.why}" for each in self.dropped)
        return f"{self.read} {self.unit} {self.stage}, {self.kept} kept" + (f"; {gone}" if gone else "")


def reasons(places: Mapping[str, Sequence[str]]) -> tuple[Reason, ...]:
    """Reason → places of its rows, as the entries of a ledger; a reason without rows is none."""
    return tuple(Reason(why, len(rows), tuple(rows[:FIRST])) for why, rows in places.items() if rows)
