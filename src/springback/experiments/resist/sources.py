"""The rows of the experiment, dealt by position, and what they came from. Torch-free.

    file order:   slices 1 … n ............ | unused | prompts to write answers to: for tuning, for measuring

A seed reorders the slices' region by index (seed 0 keeps the file's order). The prompts are the same for every seed and
model; their own answers are used by none. A prompt may stand in a slice too, where the data repeats prompts.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.data import film_reviews, toy
from springback.data.order import drawn
from springback.data.read import read
from springback.data.records import Example, Pair
from springback.errors import RefusedError
from springback.experiments.audit.sources import model_hashes
from springback.experiments.resist.config import Design
from springback.models.facts import ModelFacts, describe
from springback.store.provenance import sha256_of_text


@dataclass(frozen=True, slots=True)
class Data:
    """The examples, in file order."""

    name: str
    examples: tuple[Example, ...]
    sha256: str
    licence: str | None = None
    paper: str | None = None

    def json(self) -> dict[str, Any]:
        """The body of the `data` record: counts, never texts."""
        told = {name: getattr(self, name) for name in ("name", "sha256", "licence", "paper")}
        return {**told, "examples": len(self.examples)}


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    model: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    data: Data
    slices: dict[int, tuple[tuple[Example, ...], ...]]
    """By seed: the rows of each slice, in their order."""
    prompts: tuple[Example, ...]
    """`samples` prompts to tune on, then `held_out` to measure on."""


def gather(design: Design) -> Sources:
    """Find the model and the data, and deal the rows. RefusedError names file, line and next step."""
    data = _data(design)
    asking = design.samples + design.held_out
    _require(design, data)
    region, prompts = data.examples[: len(data.examples) - asking], data.examples[len(data.examples) - asking :]
    slices = {seed: _slices(region, design, seed) for seed in design.seeds}
    return Sources(None if design.tiny else describe(design.model), data, slices, prompts)


def identity(sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    rows = [[asdict(row) for row in part] for parts in sources.slices.values() for part in parts]
    return {
        "model": model_hashes(sources.model),
        "data_sha256": sources.data.sha256,
        "rows_sha256": sha256_of_text(repr([rows, [asdict(row) for row in sources.prompts]])),
    }


def _data(design: Design) -> Data:
    if design.data is None:
        dataset = toy.load() if design.tiny else film_reviews.load()
        rows = tuple(pair.align for pair in dataset.pairs)
        return Data(f"{dataset.name}, {dataset.wanted}", rows, dataset.sha256, dataset.licence, dataset.paper)
    file = read(Path(design.data))
    rows = tuple(row.align if isinstance(row, Pair) else row for row in file.rows)
    return Data(file.path.name, rows, file.sha256)


def _require(design: Design, data: Data) -> None:
    if len(data.examples) < design.rows:
        raise RefusedError(
            f"{design.slices} slices of {design.slice_size} and {design.samples} + {design.held_out} prompts take "
            f"{design.rows} examples; {data.name} has {len(data.examples)}.",
            kind="data", where=design.data, next="Lower --slice-size, --samples or --held-out, or bring more data.",
        )  # fmt: skip


def _slices(region: tuple[Example, ...], design: Design, seed: int) -> tuple[tuple[Example, ...], ...]:
    order = range(len(region)) if seed == 0 else sorted(range(len(region)), key=lambda i: drawn(seed, i))
    rows = [region[i] for i in order]
    size = design.slice_size
    return tuple(tuple(rows[first : first + size]) for first in range(0, design.slices * size, size))
