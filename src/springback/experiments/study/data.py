"""The study's data sets by name: a few training and held-out pairs each, written into the run's directory.

Every training reads these files, so all combinations see the same rows; a stored file that says something else than
what would be written is refused (the run belongs to other data).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.data.choices import Choice
from springback.data.ledger import Ledger
from springback.data.preferences import Preferences, as_pairs, built_in, read_preferences
from springback.data.records import plain, said
from springback.errors import RefusedError, refused
from springback.experiments.study.config import CONTROLLED, FILM, Study
from springback.experiments.study.controlled import Answers, made
from springback.store.provenance import sha256_of_text


@dataclass(frozen=True, slots=True)
class Pairs:
    """One data set, dealt."""

    name: str
    train: tuple[Choice, ...]
    held_out: tuple[Choice, ...]
    ledgers: tuple[Ledger, ...]
    source: str
    suffix_tokens: tuple[int, ...] = ()
    """Of a controlled set: tokens behind the one that differs, by pair."""
    paper: str | None = None

    def json(self) -> dict[str, Any]:
        """The body of a `set` record."""
        return {
            "name": self.name, "source": self.source, "train": len(self.train), "held_out": len(self.held_out),
            "sha256": sha256_of_text(_lines(self.train) + "\n" + _lines(self.held_out)),
            "ledgers": [ledger.json() for ledger in self.ledgers],
            "suffix_tokens": _range(self.suffix_tokens),
        }  # fmt: skip


def stored_sources(config: Study) -> dict[str, Preferences]:
    """Every set that is read, not made: film and files. RefusedError for a file that is none. Torch-free."""
    named = [name for name in config.data if name not in CONTROLLED]
    return {name: built_in(tiny=config.tiny) if name == FILM else _file(name) for name in named}


def pairs_of(name: str, config: Study, sources: dict[str, Preferences], answers: Answers) -> Pairs:
    """A set, dealt: held-out rows are the last ones. RefusedError where too few are left."""
    if name in CONTROLLED:
        found = made(name, config.pairs + config.held_out, answers)
        return Pairs(name, *_dealt(name, found.pairs, config), (found.ledger,), "made", found.suffix_tokens)
    source = sources[name]
    taken = as_pairs(source.rows)
    ledgers = (source.ledger, *([taken.ledger] if taken.ledger else []))
    return Pairs(name, *_dealt(name, taken.pairs, config), ledgers, source.name, paper=source.paper)


def files(path: Path, name: str, config: Study) -> tuple[Path, Path]:
    """Where the two parts of a set lie."""
    stem = f"{config.data.index(name)}-{Path(name).stem}"
    return path / "data" / f"{stem}.train.jsonl", path / "data" / f"{stem}.held_out.jsonl"


def write(path: Path, found: Pairs, config: Study) -> None:
    """Both files of a set; nothing where they lie there already."""
    for file, rows in zip(files(path, found.name, config), (found.train, found.held_out), strict=True):
        text = _lines(rows)
        if file.exists() and file.read_text("utf-8") != text:
            raise RefusedError(
                "This file of the run holds other pairs than the same options give now.", kind="run", where=str(file),
                next="Give another --out, or remove this run.",
            )  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def _file(name: str) -> Preferences:
    if not Path(name).exists():
        raise refused("data", f"{name} is no file and none of {', '.join((*CONTROLLED, FILM))}")
    found = read_preferences(name)
    if found.offers == "labels":
        raise refused("data", f"{name} holds labelled answers, and the study takes pairs")
    return found


def _dealt(
    name: str, rows: Sequence[Choice], config: Study
) -> tuple[tuple[Choice, ...], tuple[Choice, ...]]:  # fmt: skip
    """Training pairs from the front, held-out ones from the end; a small set is shared in proportion."""
    held = min(config.held_out, len(rows) * config.held_out // (config.pairs + config.held_out))
    measured = {_key(row) for row in rows[len(rows) - held :]}
    train = [row for row in rows[: len(rows) - held] if _key(row) not in measured][: config.pairs]
    if held < 2 or len(train) < 2:
        raise refused("data", f"{name} has {len(rows)} usable pairs; it takes at least 2 to train on and 2 held out")
    return tuple(train), tuple(rows[len(rows) - held :])


def _key(row: Choice) -> tuple[str, ...]:
    """Equal for pairs that say the same."""
    return said(row.prompt), plain(row.chosen), plain(row.rejected)


def _lines(rows: Sequence[Choice]) -> str:
    return "".join(json.dumps(_row(row), ensure_ascii=False) + "\n" for row in rows)


def _row(row: Choice) -> dict[str, Any]:
    prompt = [{"role": turn.role, "content": turn.content} for turn in row.prompt]
    return {"prompt": prompt, "chosen": row.chosen, "rejected": row.rejected}


def _range(tokens: Sequence[int]) -> dict[str, int | float] | None:
    return {"least": min(tokens), "mean": sum(tokens) / len(tokens), "most": max(tokens)} if tokens else None
