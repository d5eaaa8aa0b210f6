"""A row and the other answer to its prompt as what a loss of the family takes.

    pairs      the row is chosen, the other answer rejected
    samples    the same; the chosen one is not looked at
    lists      a list of two, the row with relevance 1, the other answer with 0
    labels     two examples, the row wanted, the other answer not

A loss that takes pairs gets pairs, whatever else it could take. Labelled examples stand in the rows' order, wanted one
first: the first N rows are the first 2N examples, so a chain of N rows is the beginning of a longer one.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from springback.models.pair_tokens import Item, LabelledRow, RankedRows
from springback.models.rows import Row, RowPair


def items_of(row: Row, needs: AbstractSet[str]) -> tuple[Item, ...]:
    """One item, or the two labelled ones."""
    pair = pair_of(row)
    if "pairs" in needs or "samples" in needs:
        return (pair,)
    if "lists" in needs:
        return (RankedRows((pair.chosen, pair.rejected), (1.0, 0.0)),)
    if "labels" in needs:
        return LabelledRow(pair.chosen, wanted=True), LabelledRow(pair.rejected, wanted=False)
    return (pair,)


def places_of(rows: Sequence[int], each: int) -> tuple[int, ...]:
    """Places of the items of the rows at these places, where each row gives so many."""
    return tuple(place for row in rows for place in range(row * each, (row + 1) * each))


def pair_of(row: Row) -> RowPair:
    """The row as chosen, its other answer as rejected; ValueError where it came without one."""
    if row.other is None:
        raise ValueError("a preference loss needs the other answer to each row's prompt, and this row came without")
    return RowPair(row, row.other)
