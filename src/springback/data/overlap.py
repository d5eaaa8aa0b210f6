"""What makes two sides of data unfit to compare: the same rows on both, the same answer twice, rows that come twice."""

from collections import Counter
from collections.abc import Sequence

from springback.data.records import Labelled, Pair, plain
from springback.data.source import refuse


def equal_answers(pair: Pair) -> bool:
    """Whether wanted and opposite are one answer (letter case and white space aside): nothing to tell apart."""
    return plain(pair.wanted) == plain(pair.opposite)


def overlap_warnings(pairs: Sequence[Pair], left: Sequence[Labelled] = (), *, where: str) -> tuple[str, ...]:
    """What a reader of the page is warned of. RefusedError where both sides are the same rows or every pair is equal.

    A row counts as the same when prompt and answer agree, letter case and white space aside.
    """
    wanted = Counter([pair.align.key for pair in pairs] + [row.key for row in left if row.wanted])
    opposite = Counter([pair.reverse.key for pair in pairs] + [row.key for row in left if not row.wanted])
    both = wanted.keys() & opposite.keys()
    if both and len(both) == min(len(wanted), len(opposite)):
        refuse(
            f"Align and reverse are the same rows: all {len(both)} of one side stand on the other.", where=where,
            next_step="Give answers of the opposite kind to the same prompts as --reverse.",
        )  # fmt: skip
    equal = sum(map(equal_answers, pairs))
    if equal == len(pairs):
        refuse(
            "No pair is left: in every pair both answers are equal." if pairs else "No two rows make a pair.",
            where=where, next_step="Give two different answers to each prompt.",
        )  # fmt: skip
    return tuple(_told(len(both), equal, _repeats(wanted), _repeats(opposite)))


def _repeats(rows: Counter[tuple[str, str]]) -> int:
    return rows.total() - len(rows)


def _told(both: int, equal: int, wanted: int, opposite: int) -> list[str]:
    told = {
        f"{both} rows stand on both sides, with the same prompt and answer.": both,
        f"{equal} pairs were left out: both answers are equal.": equal,
        f"{wanted} wanted rows repeat an earlier one.": wanted,
        f"{opposite} opposite rows repeat an earlier one.": opposite,
    }
    return [sentence for sentence, n in told.items() if n]
