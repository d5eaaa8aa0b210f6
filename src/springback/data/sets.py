"""Which rows tune, which measure, which teach the scorer: decided by position, so that one changed row changes one row.

    file order:   tuning region ............ | scorer (if no other rows) | measuring pairs, counted from the end

Nothing in it depends on the sizes asked for, as long as they fit: a run with one size has the same rows as that size
in a nested run. With A[k] and R[k] the wanted and the opposite row of the region's pair k, N and n the largest sizes:

    align        A[0..N)                 reverse   R[0..n)
    benign       A[i] for even i, R[n + i//2] for odd i, i < N: as many rows, balanced, none of them in the reversal
    continuation A[N + j//2] for even j, R[n + N/2 + j//2] for odd j, j < n: balanced, new to the benign chain

A mix of p percent puts rows of the other side in at even distances (`mixed`), R[n..) into `align` and A[N..) into
`reverse`: the rows after k examples do not depend on how many follow. `benign` is a mix of 50.

Seed 0 keeps the file's order; another seed reorders the tuning region by index, and only that. A pair with a row that
is also measured is set aside, and so is a scorer row whose answer is tuned on or measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from springback.data.order import drawn
from springback.data.records import Dropped, Example, Labelled, Pair
from springback.data.scorer_rows import SCORER_ROWS, ScorerRows, scorer_rows
from springback.data.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Sets:
    """Every row of one seed's audit, in the order of use."""

    align: tuple[Example, ...]
    reverse: tuple[Example, ...]
    benign: tuple[Example, ...]
    """The placebo of `align`: equal size, balanced."""
    continuation: tuple[Example, ...]
    """The placebo of `reverse` after the largest N."""
    measuring: tuple[Pair, ...]
    """Held-out pairs; prompt i of the samples is that of pair i. The same for every seed."""
    neutral: tuple[Example, ...]
    scorer_fit: tuple[Labelled, ...]
    scorer_held_out: tuple[Labelled, ...]
    scorer_why: str | None
    """Why there are no scorer rows or, where there are, what to know about them."""
    dropped: tuple[Dropped, ...]
    """Pairs and rows set aside so that nothing measured is trained on."""


def split(
    pairs: Sequence[Pair], neutral: Sequence[Example], extra: Sequence[Labelled], sizes: Sizes, *, seed: int
) -> Sets:
    """The sets for the largest sizes asked for, with the mixes that `sizes` states.

    Raises:
        RefusedError (kind `data`): too few pairs, with the arithmetic and sizes that would fit.
    """
    measure = sizes.measure
    measuring = tuple(reversed(pairs[len(pairs) - measure :])) if measure <= len(pairs) else ()
    rest = _unlike(pairs[: max(len(pairs) - measure, 0)], measuring)
    sizes.require(len(rest), in_file=len(pairs))
    kept = _kept_for_scorer(len(rest), extra, sizes)
    region, for_scorer = rest[: len(rest) - kept], rest[len(rest) - kept :]
    rows = scorer_rows(extra, for_scorer, away_from=[*_rows(region), *_rows(measuring), *neutral])
    return _sets(_ordered(region, seed), sizes, measuring, neutral, rows, len(pairs) - measure - len(rest))


def _sets(
    region: Sequence[Pair],
    sizes: Sizes,
    measuring: tuple[Pair, ...],
    neutral: Sequence[Example],
    rows: ScorerRows,
    unused: int,
) -> Sets:
    wanted, opposite = [pair.align for pair in region], [pair.reverse for pair in region]
    n, aside = sizes.reverse, sizes.opposite_aside
    dropped = (Dropped("a row of the pair is also a measuring row", unused), *rows.dropped)
    return Sets(
        align=mixed(wanted[: sizes.align], opposite[n:], sizes.align_mix),
        reverse=mixed(opposite[:n], wanted[sizes.align :], sizes.reverse_mix),
        benign=mixed(wanted[: sizes.align], opposite[n:], 50),
        continuation=tuple(
            opposite[n + aside + j // 2] if j % 2 else wanted[sizes.align + j // 2] for j in range(n)
        ),
        measuring=measuring, neutral=tuple(neutral), scorer_fit=rows.fit, scorer_held_out=rows.held_out,
        scorer_why=rows.why, dropped=tuple(each for each in dropped if each.n),
    )  # fmt: skip


def mixed(own: Sequence[Example], other: Sequence[Example], percent: int) -> tuple[Example, ...]:
    """`own`, with every row at which ⌊i · percent / 100⌋ steps up replaced by the next of `other`."""
    steps = [(index * percent // 100, (index + 1) * percent // 100) for index in range(len(own))]
    return tuple(other[before] if after > before else row for row, (before, after) in zip(own, steps, strict=True))


def _rows(pairs: Sequence[Pair]) -> list[Example]:
    return list(chain.from_iterable((pair.align, pair.reverse) for pair in pairs))


def _unlike(pairs: Sequence[Pair], measuring: Sequence[Pair]) -> list[Pair]:
    measured = {row.key for row in _rows(measuring)}
    return [pair for pair in pairs if pair.align.key not in measured and pair.reverse.key not in measured]


def _kept_for_scorer(pairs: int, extra: Sequence[Labelled], sizes: Sizes) -> int:
    """How many pairs the scorer gets: none where there are other rows, else a third, never one that tuning needs."""
    wanted = sum(row.wanted for row in extra)
    enough = min(wanted, len(extra) - wanted) >= SCORER_ROWS
    return 0 if enough else min(pairs // 3, pairs - sizes.tuning)


def _ordered(region: Sequence[Pair], seed: int) -> list[Pair]:
    if seed == 0:
        return list(region)
    return [region[i] for i in sorted(range(len(region)), key=lambda i: drawn(seed, i))]
