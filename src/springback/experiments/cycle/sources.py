"""The rows of a cycle and what they came from, before torch is imported.

    text, file order:   held out for γ ..... | stage 1 ....      (less what is also held out or a measured answer)
    pairs:              as an audit deals them (`data.sets`); with `--rehearse new` stage 4 has the wanted rows after N

Seed 0 keeps the order of the text; another seed reorders what stage 1 trains on by index, and only that.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.data.order import drawn
from springback.data.plain_text import look, require_text
from springback.data.read import read
from springback.data.records import Dataset, Example, Pair, plain
from springback.data.sets import Sets, split
from springback.data.sizes import Sizes
from springback.data.source import refuse, sha256
from springback.experiments.audit import sources as audit
from springback.experiments.audit.sources import _dataset as dataset_of  # pyright: ignore[reportPrivateUsage]
from springback.experiments.audit.sources import _models as models_of  # pyright: ignore[reportPrivateUsage]
from springback.experiments.cycle.chain import Part
from springback.experiments.cycle.config import Cycle
from springback.store.provenance import sha256_of_text

ROWS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    audit: audit.Sources
    """Models, data, and the pairs of every seed; its neutral rows are the held-out text."""
    rows: dict[tuple[int, Part], tuple[Example, ...]]
    """By seed and stage's part, in the order of use."""
    text_sha256: str | None
    """Of the file given as --text."""

    @property
    def held_out(self) -> tuple[Example, ...]:
        return self.audit.shared.neutral

    @property
    def dataset(self) -> Dataset:
        return self.audit.dataset


def gather(config: Cycle) -> Sources:
    """Find the model and the data, and deal the rows. RefusedError names file, line and next step."""
    asked = config.audit()
    dataset = dataset_of(asked)
    texts = dataset.neutral if config.text is None else documents(Path(config.text))
    last = dataset.pairs[-max(config.samples, config.pairs) :]
    measured = {plain(answer) for pair in last for answer in (pair.wanted, pair.opposite)}
    held, tuned = dealt(texts, config, measured, where=config.text or dataset.name)
    sets = {seed: _split(config, dataset, held, seed) for seed in config.seeds}
    rows = {key: part for seed in config.seeds for key, part in _rows(config, sets[seed], tuned, seed).items()}
    start, given = models_of(asked)
    return Sources(
        audit.Sources(start, given, dataset, sets), rows, None if config.text is None else sha256(Path(config.text))
    )


def identity(sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    dealt_rows = [[asdict(row) for row in part] for part in sources.rows.values()]
    found = audit.identity(sources.audit)
    return {**found, "text_sha256": sources.text_sha256, "stages_sha256": sha256_of_text(repr(dealt_rows))}


def documents(path: Path) -> tuple[Example, ...]:
    """A file of rows gives its answers (of pairs the chosen ones); any other one the texts between its blank lines."""
    if path.name.endswith(ROWS):
        rows = read(path).rows
        return tuple(_alone(row.align if isinstance(row, Pair) else row) for row in rows)
    text = look(path)
    require_text(text)
    return tuple(_paragraphs("".join(text.pieces()), path.name))


def dealt(
    texts: tuple[Example, ...], config: Cycle, measured: set[str], *, where: str
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Held-out documents, and those of stage 1, none of which is held out or a measured answer (`measured`, plain).

    RefusedError where there are too few.
    """
    held = texts[: config.neutral]
    known = measured | {plain(row.answer) for row in held}
    rest = tuple(row for row in texts[config.neutral :] if plain(row.answer) not in known)
    if len(held) < config.neutral or len(rest) < config.text_sizes[-1]:
        refuse(
            f"Too little text: {config.neutral} documents to measure and {config.text_sizes[-1]} to tune on are asked "
            f"for; {where} has {len(texts)}, of which {len(rest)} are left to tune on.",
            where="--text" if config.text else "--text-sizes",
            next_step="Lower --text-sizes or --neutral, or give a longer --text FILE.",
        )  # fmt: skip
    return held, rest


def _paragraphs(text: str, name: str) -> list[Example]:
    found, held, first = [], [], 1
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.strip():
            first = first if held else number
            held.append(line)
        elif held:
            found.append(Example((), "\n".join(held), first, name))
            held = []
    return found


def _alone(row: Example) -> Example:
    return Example((), row.answer, row.line, row.file)


def _split(config: Cycle, dataset: Dataset, held: tuple[Example, ...], seed: int) -> Sets:
    new = config.realign_sizes[-1] if config.rehearse == "new" else 0
    sizes = Sizes(config.align_sizes[-1] + new, config.reverse_sizes[-1], max(config.samples, config.pairs))
    return split(dataset.pairs, [_alone(row) for row in held], dataset.extra, sizes, seed=seed)


def _rows(
    config: Cycle, sets: Sets, tuned: tuple[Example, ...], seed: int
) -> dict[tuple[int, Part], tuple[Example, ...]]:
    order = range(len(tuned)) if seed == 0 else sorted(range(len(tuned)), key=lambda i: drawn(seed, i))
    first = config.align_sizes[-1] if config.rehearse == "new" else 0
    last = config.align_sizes[-1]
    return {
        (seed, "text"): tuple(_alone(tuned[i]) for i in order)[: config.text_sizes[-1]],
        (seed, "align"): sets.align[:last],
        (seed, "reverse"): sets.reverse,
        (seed, "realign"): sets.align[first : first + config.realign_sizes[-1]],
        (seed, "benign"): sets.benign[:last],
        (seed, "continuation"): sets.continuation,
    }
