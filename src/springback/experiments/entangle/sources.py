"""The pairs of the diagnosis, their order in batches, and what they come from. Torch-free."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.data.choices import Choice
from springback.data.ledger import Ledger
from springback.data.order import drawn
from springback.data.preferences import Preferences, as_pairs, built_in, read_preferences
from springback.errors import RefusedError
from springback.experiments.audit.sources import model_hashes
from springback.experiments.entangle.config import Entangle
from springback.models.facts import ModelFacts, describe
from springback.store.provenance import sha256_of_file, sha256_of_text

MANIFEST = "manifest.json"
"""Of a checkpoint (`fit.checkpoint`)."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    model: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    reference: ModelFacts | None
    """None where the model is its own reference."""
    data: Preferences
    pairs: tuple[Choice, ...]
    """In file order, the first `--pairs` of them."""
    ledgers: tuple[Ledger, ...]
    path: Path | None
    """Of the data; None for what comes with Springback."""


def batches(count: int, config: Entangle) -> list[list[int]]:
    """Indices of the pairs, batch by batch; seed 0 keeps the order of the file, another one deals by position."""
    order = list(range(count))
    if config.seed:
        order.sort(key=lambda index: drawn(config.seed, index))
    return [order[first : first + config.batch] for first in range(0, count, config.batch)]


def gather(config: Entangle, path: Path | None) -> Sources:
    """Find models and data. RefusedError names file, line and next step."""
    data = read_preferences(path) if path is not None else built_in(tiny=config.tiny)
    try:
        made = as_pairs(data.rows)
    except ValueError as error:
        raise RefusedError(
            f"{data.name} holds no pairs: {error}.", kind="data", where=str(path),
            next="Give rows with a prompt, a chosen and a rejected answer.",
        ) from error  # fmt: skip
    pairs = made.pairs[: config.pairs]
    ledgers = [data.ledger, *([made.ledger] if made.ledger else [])]
    model = None if config.tiny else describe(config.model)
    reference = describe(config.reference) if config.reference else None
    _same_vocabulary(model, reference)
    return Sources(model, reference, data, pairs, tuple(ledgers), path)


def identity(config: Entangle, sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with, by content."""
    manifest = None if config.moments is None else Path(config.moments) / MANIFEST
    moments = {} if manifest is None else {"moments_sha256": sha256_of_file(_existing(manifest))}
    return moments | {
        "model": model_hashes(sources.model),
        "reference": model_hashes(sources.reference),
        "data_sha256": sources.data.sha256,
        "rows_sha256": sha256_of_text(repr([asdict(pair) for pair in sources.pairs])),
    }


def _existing(manifest: Path) -> Path:
    if not manifest.is_file():
        raise RefusedError(f"{manifest.parent} is no checkpoint: it has no {manifest.name}.", kind="reference",
                           where="--moments", next="Give a folder such as RUN/checkpoints/last.")  # fmt: skip
    return manifest


def _same_vocabulary(model: ModelFacts | None, reference: ModelFacts | None) -> None:
    if model is not None and reference is not None and model.vocab != reference.vocab:
        raise RefusedError(
            f"MODEL and --reference have other vocabularies ({model.vocab} and {reference.vocab} tokens): their "
            "log-probabilities cannot be compared.",
            kind="model", where=str(reference.path), next="Give the very model that MODEL was tuned from.",
        )  # fmt: skip
