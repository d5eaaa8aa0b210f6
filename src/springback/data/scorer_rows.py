"""The rows a scorer learns from and is measured on: answers that are in no tuning and no measuring set."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple

from springback.data.order import drawn
from springback.data.records import Dropped, Example, Labelled, Pair, plain

SCORER_ROWS: Final = 100
"""With fewer rows of either kind outside the pairs, a third of the pairs is kept for the scorer."""
HELD_OUT_LIMIT: Final = 1000
"""Rows on which the scorer is measured; of fewer than three times as many, one third."""
LEAST: Final = 6
"""Rows of either kind without which there is no scorer: four to learn from, two to be measured on."""

Unit = tuple[Labelled, ...]
"""Rows that stay on one side of the split: the two of a pair share their subject."""


class ScorerRows(NamedTuple):
    """As in `Sets`."""

    fit: tuple[Labelled, ...]
    held_out: tuple[Labelled, ...]
    why: str | None
    dropped: tuple[Dropped, ...]


def scorer_rows(extra: Sequence[Labelled], pairs: Sequence[Pair], *, away_from: Sequence[Example]) -> ScorerRows:
    """Fitting and held-out rows out of `extra` and both sides of `pairs`.

    No answer is one of `away_from`. Where that leaves nothing, since the data has a handful of answers, no *prompt
    with answer* is, and `why` says so.
    """
    units: list[Unit] = [(row,) for row in extra] + [_both(pair) for pair in pairs]
    answers = {plain(row.answer) for row in away_from}
    fresh = _once(units, lambda row: plain(row.text), answers)
    if _enough(fresh):
        return _parted(fresh, None, sum(map(len, units)))
    keys: set[Hashable] = {row.key for row in away_from}
    repeated = _once(units, lambda row: row.key, keys)
    if _enough(repeated):
        return _parted(repeated, "its answers, under other prompts, also stand in the tuning or measuring rows", 0)
    return ScorerRows((), (), f"fewer than {LEAST} rows of either kind are in no tuning or measuring set", ())


def _parted(units: Sequence[Unit], why: str | None, of: int) -> ScorerRows:
    order = sorted(range(len(units)), key=drawn)
    held_out = min(HELD_OUT_LIMIT, len(units) // 3)
    parts = [tuple(row for i in part for row in units[i]) for part in (order[held_out:], order[:held_out])]
    rows = sum(map(len, parts))
    dropped = (Dropped("a scorer row's answer repeats or is used elsewhere", of - rows),) if of > rows else ()
    return ScorerRows(parts[0], parts[1], why, dropped)


def _once(units: Sequence[Unit], of: Callable[[Labelled], Hashable], taken: set[Hashable] | set[str]) -> list[Unit]:
    """Every key once, none of `taken`, none that carries both labels."""
    labels = Counter(key for key, _ in {(of(row), row.wanted) for unit in units for row in unit})
    seen: set[Hashable] = {*taken, *(key for key, n in labels.items() if n > 1)}
    kept: list[Unit] = []
    for unit in units:
        fresh = tuple(row for row in unit if of(row) not in seen)
        seen |= {of(row) for row in unit}
        kept += [fresh] if fresh else []
    return kept


def _enough(units: Sequence[Unit]) -> bool:
    wanted = Counter(row.wanted for unit in units for row in unit)
    return min(wanted[True], wanted[False]) >= LEAST


def _both(pair: Pair) -> Unit:
    rows = ((pair.align, True), (pair.reverse, False))
    return tuple(Labelled(row.answer, wanted, row.where, row.prompt) for row, wanted in rows)
