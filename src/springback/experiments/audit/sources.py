"""What an audit is made of, before torch is imported: model folders, data, the rows of every seed, their hashes."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from springback.data import film_reviews, pairs, toy
from springback.data.elsewhere import elsewhere
from springback.data.records import Dataset
from springback.data.sets import Sets, split
from springback.data.sizes import Sizes
from springback.errors import RefusedError
from springback.experiments.audit.config import Audit
from springback.models.facts import ModelFacts, describe
from springback.models.weights import files_sha256
from springback.store.provenance import sha256_of_file, sha256_of_text
from springback.store.user_code import hashes


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is read, found and checked."""

    start: ModelFacts | None
    """None for the tiny model, which is made in memory."""
    given: ModelFacts | None
    """MODEL, where it came aligned."""
    dataset: Dataset
    sets: dict[int, Sets]
    """By seed."""
    code_sha256: dict[str, str] = field(default_factory=dict)
    """Of each Python file that an option names."""

    @property
    def shared(self) -> Sets:
        """Measuring, neutral and scorer rows, which are the same for every seed."""
        return next(iter(self.sets.values()))


def gather(config: Audit) -> Sources:
    """Find the models and the data, and deal the rows. RefusedError names file, line and next step."""
    dataset = _dataset(config)
    sets = {seed: _split(config, dataset, seed) for seed in config.seeds}
    start, given = _models(config)
    return Sources(start, given, dataset, sets, hashes(config.score, config.align_with, config.reverse_with))


def identity(sources: Sources) -> dict[str, Any]:
    """What a stored run must agree with: hashes of weights, template and data, each by its content."""
    return {
        "start": model_hashes(sources.start),
        "given": model_hashes(sources.given),
        "data_sha256": sources.dataset.sha256,
        "rows_sha256": sha256_of_text(repr([asdict(sets) for sets in sources.sets.values()])),
        "code_sha256": sources.code_sha256,
    }


def _dataset(config: Audit) -> Dataset:
    if config.align is not None:
        return pairs.bring(Path(config.align), Path(config.reverse) if config.reverse else None)
    return toy.load() if config.tiny else film_reviews.load()


def _split(config: Audit, dataset: Dataset, seed: int) -> Sets:
    measure = max(config.samples, config.pairs)
    sizes = Sizes(config.align_sizes[-1], config.reverse_sizes[-1], measure, config.align_mix, config.reverse_mix)
    sets = split(dataset.pairs, dataset.neutral[: config.neutral], dataset.extra, sizes, seed=seed)
    if config.reversal_data is None:
        return sets
    return replace(sets, reverse=elsewhere(Path(config.reversal_data), sizes.reverse, sets, seed))


def _models(config: Audit) -> tuple[ModelFacts | None, ModelFacts | None]:
    if config.tiny:
        return None, None
    if config.base is None:
        return describe(config.model), None
    start, given = describe(config.base), describe(config.model)
    if start.vocab != given.vocab:
        raise RefusedError(
            f"MODEL and BASE have other vocabularies ({given.vocab} and {start.vocab} tokens): their distributions "
            "cannot be compared token by token.",
            kind="model",
            where=str(given.path),
            next="Give the very model that MODEL was tuned from.",
        )
    return start, given


def model_hashes(facts: ModelFacts | None) -> dict[str, str] | None:
    """Content of the weight files, and of everything that decides what they are fed."""
    if facts is None:
        return None
    small = sorted(path for path in facts.path.iterdir() if path.suffix in (".json", ".jinja", ".model", ".txt"))
    words = {path.name: sha256_of_file(path) for path in small}
    weights = sorted(facts.path.glob("*.safetensors"))
    return {"weights_sha256": files_sha256(weights), "settings_sha256": sha256_of_text(repr(words))}
