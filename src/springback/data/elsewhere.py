"""Rows of another file to reverse on: what happens to an alignment when a model is tuned on something else?"""

from pathlib import Path
from typing import cast

from springback.data.order import drawn
from springback.data.read import read
from springback.data.records import Example, Pair
from springback.data.sets import Sets
from springback.data.source import refuse


def elsewhere(path: Path, count: int, sets: Sets, seed: int) -> tuple[Example, ...]:
    """The first `count` rows of the file (a preference pair gives its rejected answer), none of them measured.

    Seed 0 keeps the file's order; another seed reorders by index. RefusedError (kind `data`) where too few are left.
    """
    file = read(path)
    rows = [pair.reverse for pair in cast("tuple[Pair, ...]", file.rows)] if file.preferences else list(file.rows)
    rows = cast("list[Example]", rows)
    measured = {row.key for pair in sets.measuring for row in (pair.align, pair.reverse)}
    kept = [row for row in rows if row.key not in measured]
    if len(kept) < count:
        refuse(
            f"{path.name} has {len(kept)} rows to reverse on (of {len(rows)}; the others are measured), {count} are "
            "needed.", where=str(path), next_step=f"Give more rows, or --reverse-sizes up to {len(kept)}.",
        )  # fmt: skip
    order = range(len(kept)) if seed == 0 else sorted(range(len(kept)), key=lambda i: drawn(seed, i))
    return tuple(kept[i] for i in order)[:count]
