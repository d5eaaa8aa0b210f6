"""One file of preferences as the files of the three stages, split once, by prompt. Torch-free.

    training.jsonl, held_out.jsonl    pairs: what the stages learn from, and what they are measured on
    prompts.jsonl                     every prompt once, the held-out ones last

A prompt is on one side in all stages: what is measured at the end was shown to none of them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from springback.data.choices import Choice, Judged, Ranking
from springback.data.preferences import Preferences, read_preferences
from springback.data.records import Example, said
from springback.errors import RefusedError

FEWEST = 4
"""Prompts below which there is nothing to split."""


class Files(NamedTuple):
    """Where the stages read."""

    training: Path
    held_out: Path
    prompts: Path


@dataclass(frozen=True, slots=True)
class Split:
    """The pairs of either side."""

    data: Preferences
    training: tuple[Choice, ...]
    held_out: tuple[Choice, ...]

    @property
    def held_out_prompts(self) -> int:
        """Distinct prompts held out."""
        return len({said(one.prompt) for one in self.held_out})

    def chosen(self) -> tuple[list[Example], list[Example]]:
        """The better answers of either side, as examples to imitate."""
        return tuple([_example(one) for one in side] for side in (self.training, self.held_out))  # type: ignore[return-value]

    def write(self, folder: Path) -> Files:
        """The three files, written anew."""
        folder.mkdir(parents=True, exist_ok=True)
        files = Files(*(folder / f"{name}.jsonl" for name in Files._fields))
        write_pairs(files.training, self.training)
        write_pairs(files.held_out, self.held_out)
        once = {said(one.prompt): one for one in (*self.training, *self.held_out)}
        _write(files.prompts, ({"prompt": [asdict(turn) for turn in one.prompt]} for one in once.values()))
        return files


def write_pairs(path: Path, pairs: Iterable[Choice]) -> None:
    """Pairs as `prompt`, `chosen`, `rejected` rows."""
    _write(path, map(_row, pairs))


def split(path: Path, held_out: int | None, most: int) -> Split:
    """Read and deal: the last prompts are held out (default: a quarter of them, at most `most`)."""
    data = read_preferences(path)
    pairs = [_pair(row, path) for row in data.rows]
    prompts = list(dict.fromkeys(said(one.prompt) for one in pairs))
    count = min(most, len(prompts) // 4) if held_out is None else held_out
    if len(prompts) < FEWEST or not 1 <= count < len(prompts):
        raise RefusedError(
            f"{path.name} has {len(prompts)} prompts; --held-out {count} leaves nothing to train or to measure on.",
            kind="data", where=str(path), next=f"Bring at least {FEWEST} prompts, or change --held-out.",
        )  # fmt: skip
    last = set(prompts[len(prompts) - count :])
    sides = ([one for one in pairs if (said(one.prompt) in last) is held] for held in (False, True))
    return Split(data, *(tuple(side) for side in sides))


def _pair(row: Choice | Ranking | Judged, path: Path) -> Choice:
    """A pair as it is; of a ranking the best and the worst answer."""
    if isinstance(row, Choice):
        return row
    if isinstance(row, Ranking):
        return Choice(row.prompt, row.answers[0], row.answers[-1], row.where)
    raise RefusedError(
        "The stages need a better and a worse answer to each prompt; this file has one labelled answer a row.",
        kind="data", where=str(path), next='Give {"prompt", "chosen", "rejected"} rows.',
    )  # fmt: skip


def _row(one: Choice) -> dict[str, Any]:
    return {"prompt": [asdict(turn) for turn in one.prompt], "chosen": one.chosen, "rejected": one.rejected}


def _example(one: Choice) -> Example:
    file, _, line = one.where.rpartition(":")
    return Example(one.prompt, one.chosen, int(line), file)


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines: Sequence[str] = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
