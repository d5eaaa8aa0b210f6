"""The rows of the experiment and what they came from; nothing here is tokenised yet. Torch-free.

    file order:   training rows ............ | held-out rows (the last ones, unless they come from a file)

A training row that says the same as a held-out one is left out and counted. Ranked answers become pairs after the
split, so no row has pairs on both sides.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.data.choices import Choice, Judged, Ranking, Row
from springback.data.ledger import Ledger, reasons
from springback.data.preferences import Offer, Preferences, as_labels, as_lists, as_pairs, built_in, read_preferences
from springback.data.records import plain, said
from springback.errors import RefusedError
from springback.experiments.audit.sources import model_hashes
from springback.experiments.prefer.config import Design
from springback.models.facts import ModelFacts, describe
from springback.store.provenance import sha256_of_file, sha256_of_text
from springback.store.user_code import hashes


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    model: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    reference: ModelFacts | None
    """None where the reference is the model itself."""
    data: Preferences
    held: Preferences | None
    """The held-out file, where there is one."""
    train: tuple[Row, ...]
    """Of the kind that the loss learns from."""
    held_out: tuple[Row, ...]
    ledgers: tuple[Ledger, ...]


def data_of(design: Design) -> Preferences:
    """The preference data that was asked for."""
    if design.data is None:
        return built_in(tiny=design.tiny)
    return read_preferences(design.data, score_field=design.score_field)


def gather(design: Design, data: Preferences, kind: Offer) -> Sources:
    """Find the models and deal the rows. RefusedError names file, line and next step."""
    held = _held_file(design, data)
    train, held_out, split = _split(design, data, held)
    taken = [_taken(rows, kind, design) for rows in (train, held_out)]
    ledgers = [data.ledger, *([held.ledger] if held else []), *([split] if split.dropped else [])]
    ledgers += [made for _, made in taken if made is not None]
    _require(taken[0][0], taken[1][0], design, ledgers)
    model = None if design.tiny else describe(design.model)
    return Sources(
        model, _reference(design, model), data, held, taken[0][0], taken[1][0], tuple(ledgers)
    )  # fmt: skip


def identity(design: Design, sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    rows = [[_key(row) for row in part] for part in (sources.train, sources.held_out)]
    stored = design.reference_logprobs
    return {
        "model": model_hashes(sources.model),
        "reference": model_hashes(sources.reference),
        "reference_logprobs_sha256": sha256_of_file(_existing(stored)) if stored else None,
        "data_sha256": sources.data.sha256,
        "held_out_sha256": sources.held.sha256 if sources.held else None,
        "rows_sha256": sha256_of_text(repr(rows)),
        "code_sha256": hashes(design.loss, design.cure),
    }


def _held_file(design: Design, data: Preferences) -> Preferences | None:
    if _number(design.held_out) is not None:
        return None
    held = read_preferences(design.held_out, score_field=design.score_field)
    if held.offers != data.offers:
        raise RefusedError(
            f"{held.name} offers {held.offers}, {data.name} {data.offers}.", kind="data", where="--held-out",
            next="Give held-out data of the same kind.",
        )  # fmt: skip
    return held


def _split(
    design: Design, data: Preferences, held: Preferences | None
) -> tuple[tuple[Row, ...], tuple[Row, ...], Ledger]:
    if held is not None:
        region, held_out = data.rows, held.rows
    else:
        count = _count(design, len(data.rows))
        region, held_out = data.rows[: len(data.rows) - count], data.rows[len(data.rows) - count :]
    measured = {_key(row) for row in held_out}
    twice = [row.where for row in region if _key(row) in measured]
    train = tuple(row for row in region if _key(row) not in measured)
    why = "the same row is held out"
    return train, held_out, Ledger("split", "rows", len(region), reasons({why: twice}))


def _count(design: Design, rows: int) -> int:
    number = _number(design.held_out)
    assert number is not None
    count = math.ceil(number * rows) if number < 1 else int(number)
    return max(2, count)


def _number(text: str) -> float | None:
    """A share in (0, 1) or a whole number; None where the text is a file's name."""
    try:
        number = float(text)
    except ValueError:
        return None
    if number <= 0 or (number >= 1 and number != int(number)):
        raise RefusedError(
            f"--held-out {text} is no share between 0 and 1 and no number of rows.", kind="option", where="--held-out",
            next="Give 0.1, 64 or a file.",
        )  # fmt: skip
    return number


def _taken(rows: Sequence[Row], kind: Offer, design: Design) -> tuple[tuple[Row, ...], Ledger | None]:
    """The rows as what the loss learns from."""
    if kind == "pairs":
        found = as_pairs(tuple(rows), design.pairs_from)
        return found.pairs, found.ledger
    made: Callable[[tuple[Row, ...]], tuple[Row, ...]] = as_lists if kind == "lists" else as_labels
    return made(tuple(rows)), None


def _require(train: Sequence[Row], held_out: Sequence[Row], design: Design, ledgers: Sequence[Ledger]) -> None:
    if train and len(held_out) >= 2:
        return
    raise RefusedError(
        f"{len(train)} rows are left to train on and {len(held_out)} held out; it takes at least 1 and 2. "
        + ". ".join(ledger.sentence() for ledger in ledgers) + ".",
        kind="data", where=design.data, next="Bring more data, or a held-out file: --held-out FILE.",
    )  # fmt: skip


def _reference(design: Design, model: ModelFacts | None) -> ModelFacts | None:
    if design.reference is None:
        return None
    found = describe(design.reference)
    if model is not None and found.vocab != model.vocab:
        raise RefusedError(
            f"The model has a vocabulary of {model.vocab} tokens, the reference one of {found.vocab}: the same answer "
            "has other tokens.", kind="model", where="--reference", next="Give the model that this one comes from.",
        )  # fmt: skip
    return found


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise RefusedError(
            f"There is no file {path}.", kind="reference", where="--reference-logprobs",
            next="Give the reference.safetensors of a run, or leave the option out.",
        )  # fmt: skip
    return Path(path)


def _key(row: Row) -> tuple[str, ...]:
    """Equal for rows that a reader would call the same."""
    if isinstance(row, Choice):
        return said(row.prompt), plain(row.chosen), plain(row.rejected)
    if isinstance(row, Ranking):
        return said(row.prompt), *map(plain, row.answers)
    assert isinstance(row, Judged)
    return said(row.prompt), plain(row.answer), str(row.wanted)
