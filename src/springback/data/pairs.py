"""The user's data as matched pairs: rows of two files by prompt, or preference pairs given once.

A row of one file belongs to the row of the other that has the same prompt; prompts that come several times are
matched in file order. Rows that stay alone on both sides under the same row number are matched by that number, and
the dataset says so. What remains is labelled but in no pair: a scorer may learn from it.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple, cast

from springback.data.overlap import equal_answers, overlap_warnings
from springback.data.read import DataFile, read
from springback.data.records import Dataset, Dropped, Example, Labelled, Pair, said
from springback.data.source import refuse
from springback.data.toy import plain_sentences

BY_NUMBER: Final = "not matched by prompt"


class Pairing(NamedTuple):
    """How the rows of two files came together."""

    pairs: tuple[Pair, ...]
    """In the order of the align file."""
    by_number: int
    """Pairs whose prompts differ."""
    left: tuple[Labelled, ...]
    """Rows in no pair, those of the align file first."""


def bring(align: Path | None, reverse: Path | None) -> Dataset:
    """The dataset in the files given. Neutral rows are plain sentences of ours, the same for every data.

    Raises:
        RefusedError (kind `data`): a fault in a file, one side only, both sides equal, no pair left.
    """
    given = {option: read(path) for option, path in (("--align", align), ("--reverse", reverse)) if path}
    preferences = [option for option, file in given.items() if file.preferences]
    if not preferences:
        return _two_sides(given)
    if len(given) == 2:
        _refuse(
            f"{preferences[0]} holds preference pairs: both sides at once.", given[preferences[0]],
            "Give the preference pairs alone; the chosen answers align, the rejected ones reverse.",
        )  # fmt: skip
    file = given[preferences[0]]
    return _dataset([file], Pairing(cast("tuple[Pair, ...]", file.rows), 0, ()))


def match(align: Sequence[Example], reverse: Sequence[Example]) -> Pairing:
    """Rows of two sides as pairs: by prompt, else by row number."""
    partner = _by_prompt(align, reverse)
    taken = set(partner.values())
    partner |= {i: i for i in range(min(len(align), len(reverse))) if i not in partner and i not in taken}
    pairs = tuple(_pair(row, reverse[partner[i]]) for i, row in enumerate(align) if i in partner)
    taken = set(partner.values())
    left = [_labelled(row, wanted=True) for i, row in enumerate(align) if i not in partner]
    left += [_labelled(row, wanted=False) for j, row in enumerate(reverse) if j not in taken]
    return Pairing(pairs, sum(pair.opposite_prompt is not None for pair in pairs), tuple(left))


def _by_prompt(align: Sequence[Example], reverse: Sequence[Example]) -> dict[int, int]:
    free: defaultdict[str, deque[int]] = defaultdict(deque)
    for j, row in enumerate(reverse):
        free[said(row.prompt)].append(j)
    found: dict[int, int] = {}
    for i, row in enumerate(align):
        if waiting := free[said(row.prompt)]:
            found[i] = waiting.popleft()
    return found


def _two_sides(given: dict[str, DataFile]) -> Dataset:
    for missing, side in (("--reverse", "opposite"), ("--align", "wanted")):
        if missing not in given:
            (file,) = given.values()
            _refuse(
                f"Only one side is given; {missing} with the {side} answers is missing.", file,
                f"Add {missing} DATA with answers to the same prompts, or give preference pairs (prompt, chosen, "
                "rejected) once.",
            )  # fmt: skip
    files = [given["--align"], given["--reverse"]]
    align, reverse = (cast("tuple[Example, ...]", file.rows) for file in files)
    return _dataset(files, match(align, reverse))


def _dataset(files: list[DataFile], pairing: Pairing) -> Dataset:
    warnings = overlap_warnings(pairing.pairs, pairing.left, where=str(files[0].path))
    pairs = tuple(pair for pair in pairing.pairs if not equal_answers(pair))
    if pairing.by_number:
        warnings = (*warnings, f"{pairing.by_number} of {len(pairing.pairs)} pairs are {BY_NUMBER}, but by row number: "
                    "their two answers answer different prompts.")  # fmt: skip
    dropped = Dropped("both answers of the pair are equal", len(pairing.pairs) - len(pairs))
    names = tuple(file.path.name for file in files)
    return Dataset(
        name=" and ".join(names), wanted="wanted", opposite="opposite", prompts=f"as they stand in {names[0]}",
        pairs=pairs, neutral=plain_sentences(), extra=pairing.left, matched=_matched(pairing), gap=_gap(pairs),
        sha256=_together(files), licence=None, rows_dropped=(dropped,) if dropped.n else (), warnings=warnings,
        files=names,
    )  # fmt: skip


def _matched(pairing: Pairing) -> tuple[str, ...]:
    if not pairing.by_number:
        return ("prompt",)
    return (BY_NUMBER, "row number") if pairing.by_number == len(pairing.pairs) else ("prompt", f"some {BY_NUMBER}")


def _together(files: list[DataFile]) -> str:
    """One hash for one or two files, which order matters to."""
    return files[0].sha256 if len(files) == 1 else sha256("".join(f.sha256 for f in files).encode()).hexdigest()


def _gap(pairs: Sequence[Pair]) -> dict[str, Any]:
    sides = {"wanted": [p.wanted for p in pairs], "opposite": [p.opposite for p in pairs]}
    of = {"bytes": lambda text: len(text.encode()), "words": lambda text: len(text.split())}
    means = {f"{m}_{s}": round(fmean(map(of[m], texts)), 3) for m in of for s, texts in sides.items()}
    apart = round(fmean(abs(len(p.wanted.encode()) - len(p.opposite.encode())) for p in pairs), 3)
    return {**means, "bytes_apart_in_a_pair": apart}


def _pair(wanted: Example, opposite: Example) -> Pair:
    own = None if said(wanted.prompt) == said(opposite.prompt) else opposite.prompt
    return Pair(wanted.prompt, wanted.answer, opposite.answer, (wanted.where, opposite.where), own)


def _labelled(row: Example, *, wanted: bool) -> Labelled:
    return Labelled(row.answer, wanted, row.where, row.prompt)


def _refuse(message: str, file: DataFile, next_step: str) -> None:
    refuse(message, where=str(file.path), next_step=next_step)
