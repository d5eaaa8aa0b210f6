"""Sources and options become a laboratory: models loaded, rows tokenised, a scorer fitted, the start's weights kept."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from springback.data.sets import Sets
from springback.errors import RefusedError
from springback.experiments.audit.bench import Bench, Prompt
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import GIVEN, Grid, Part, Point
from springback.experiments.audit.laboratory import ModelLaboratory
from springback.experiments.audit.rows import encoded, require_room_to_write
from springback.experiments.audit.sources import Sources
from springback.experiments.audit.ways import Ways, asked, ways_of
from springback.experiments.audit.weights import Weights
from springback.fit.masters import MasterAdamW
from springback.judge.scorer import Scorer
from springback.models.adapters import LoRA, attach
from springback.models.language_model import LanguageModel
from springback.models.load import TINY, load
from springback.models.rows import Row
from springback.models.tokens import stop_ids
from springback.train.recipe import SFT
from springback.train.sft import optimizer
from springback.train.tuning.method import wants_pairs, writes
from springback.train.tuning.rollouts import Asked

PARTS: tuple[Part, ...] = ("align", "reverse", "benign", "continuation")
SYSTEM_SEED = 0
"""Of an adapter's first values; the same for every chain."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The models of an audit, on their device, in the compute type."""

    start: LanguageModel
    given: LanguageModel | None


def device_of(config: Audit) -> str:
    """The device that `auto` means here."""
    if config.device != "auto":
        return config.device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def dtype_of(config: Audit) -> torch.dtype:
    """The compute type that `auto` means here."""
    if config.dtype != "auto":
        return getattr(torch, config.dtype)
    return torch.bfloat16 if config.trains else torch.float32


def load_models(config: Audit) -> Loaded:
    """Full precision first where weights are trained: masters begin from what the folder holds."""
    if config.tiny:
        torch.set_num_threads(1)  # a model this small is slower on two threads, many times so on a busy machine
    full = config.trains and config.tuner == "full"
    options = {"dtype": torch.float32 if full else dtype_of(config), "trust_remote_code": config.trust_remote_code}
    if config.tiny:
        return Loaded(load(TINY, **options), None)
    if config.base is None:
        return Loaded(load(config.model, **options), None)
    start, given = load(config.base, **options), load(config.model, **options)
    _same_tokens(start, given)
    through = replace(
        start, tokenizer=given.tokenizer, template=given.template, template_sha256=given.template_sha256
    )  # both are asked in the words that MODEL was aligned in
    return Loaded(through, given)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that can be refused has been read: models, tokenised rows, the scorer. Nothing has been written yet."""

    models: Loaded
    rows: dict[tuple[int, Part], list[Row]]
    measured: "Measuring"
    neutral: tuple[Row, ...]
    scorer: Scorer
    ways: Ways
    asked: Mapping[tuple[int, Part], list[Asked]] = field(default_factory=dict)
    """What the rows ask."""


def prepare(config: Audit, sources: Sources, scorer: Scorer) -> Prepared:
    """Load and tokenise. Rows that do not fit the context, and a reward that is none, are refused here."""
    ways = ways_of(config, scorer)
    models = load_models(config)
    rows: dict[tuple[int, Part], list[Row]] = {
        (seed, part): encoded(models.start, getattr(sets, part), paired=wants_pairs(ways.of(part)))
        for seed, sets in sources.sets.items()
        for part in PARTS
    }
    prompts: dict[tuple[int, Part], list[Asked]] = {
        (seed, part): asked(getattr(sets, part), part) for seed, sets in sources.sets.items() for part in PARTS
    }
    for (seed, part), each in rows.items():
        if writes(ways.of(part)):
            require_room_to_write(models.start, each, getattr(sources.sets[seed], part), config.max_new_tokens)
    shared = sources.shared
    neutral = tuple(encoded(models.start, shared.neutral))
    return Prepared(models, rows, measuring(models.start, shared, config), neutral, scorer, ways, prompts)


def laboratory(config: Audit, grid: Grid, prepared: Prepared, folder: Path) -> ModelLaboratory:
    """The bench, the rows and the weights of an audit; checkpoints lie in `folder`."""
    weights = _weights(config, prepared.models, folder)
    measured, model = prepared.measured, prepared.models.start
    bench = Bench(
        model=model, start=weights.start, prompts=measured.prompts, wanted=measured.wanted, opposite=measured.opposite,
        neutral=prepared.neutral, scorer=prepared.scorer, stop=stop_ids(model), config=config,
        held_out=measured.answers,
    )  # fmt: skip
    return ModelLaboratory(grid, bench, weights, prepared.rows, recipe(config), prepared.ways, prepared.asked)


def recipe(config: Audit) -> SFT:
    return SFT(lr=config.learning_rate, batch=config.batch, warmup_steps=config.warmup_steps)


@dataclass(frozen=True, slots=True)
class Measuring:
    """Held-out rows: prompts to sample from, and pairs."""

    prompts: tuple[Prompt, ...]
    wanted: tuple[Row, ...]
    opposite: tuple[Row, ...]
    answers: tuple[str, ...]
    """Texts of both sides."""


def measuring(model: LanguageModel, sets: Sets, config: Audit) -> Measuring:
    """The first `samples` held-out prompts and the first `pairs` held-out pairs."""
    wanted = encoded(model, [pair.align for pair in sets.measuring])
    opposite = encoded(model, [pair.reverse for pair in sets.measuring])
    texts = [pair.prompt[-1].content for pair in sets.measuring]
    prompts = tuple(
        Prompt(text, row.prompt, other.answer[: len(other.answer) - other.stop])
        for text, row, other in zip(texts, wanted, opposite, strict=True)
    )
    pairs = slice(config.pairs)
    answers = tuple(text for pair in sets.measuring for text in (pair.wanted, pair.opposite))
    return Measuring(prompts[: config.samples], tuple(wanted[pairs]), tuple(opposite[pairs]), answers)


def _weights(config: Audit, models: Loaded, folder: Path) -> Weights:
    device, dtype = device_of(config), dtype_of(config)
    start = models.start.network
    given = models.given.network if models.given else None
    if not config.trains:
        return Weights(start.to(device), None, start, folder, given=given and given.to(device))  # pyright: ignore[reportArgumentType]
    if config.tuner == "lora":
        on_it = given and given.to(device)  # pyright: ignore[reportArgumentType]
        return _adapter(config, start.to(device), on_it, folder)  # pyright: ignore[reportArgumentType]
    return _full(config, start, given, device, dtype, folder)


def _full(
    config: Audit, start: nn.Module, given: nn.Module | None, device: str, dtype: torch.dtype, folder: Path
) -> Weights:
    """The start's full-precision weights go into a checkpoint, from which every chain begins; so do MODEL's."""
    masters = {name: tensor.detach() for name, tensor in start.state_dict(keep_vars=True).items()}
    start.to(device, dtype)
    network = copy.deepcopy(start).requires_grad_(True)  # noqa: FBT003
    update = optimizer(network, recipe(config), masters if dtype == torch.bfloat16 else None)
    weights = Weights(network, update, start, folder)
    if not weights.kept(None):
        weights.keep(None)
    if given is not None:
        _keep_given(weights, given, update, config)
    return weights


def _keep_given(weights: Weights, given: nn.Module, update: MasterAdamW, config: Audit) -> None:
    state = dict(given.named_parameters(remove_duplicate=False))
    update.load({f"master/{slot.name}": state[slot.name].detach() for slot in update.slots})
    for seed in config.seeds:
        point = Point(seed, "main", GIVEN, 0)
        if not weights.kept(point):
            weights.keep(point)


def _adapter(config: Audit, start: nn.Module, given: nn.Module | None, folder: Path) -> Weights:
    """An adapter on the start, which is the same network with it off; on a copy where MODEL came aligned."""
    network = start if given is None else copy.deepcopy(start)
    attach(network, LoRA(rank=config.rank, seed=SYSTEM_SEED))
    own = None if given is None else start
    weights = Weights(network, optimizer(network, recipe(config)), own, folder, tuner="lora", given=given)
    fresh = [None, *(Point(seed, "main", GIVEN, 0) for seed in config.seeds if given is not None)]
    for point in fresh:  # an adapter that changes nothing yet, whatever it lies on
        if not weights.kept(point):
            weights.keep(point)
    return weights


def _same_tokens(start: LanguageModel, given: LanguageModel) -> None:
    """Call 3 compares two models token by token: the ids must mean the same, and the prompts must be the same text."""
    if start.tokenizer.get_vocab() != given.tokenizer.get_vocab():
        raise RefusedError(
            "MODEL and BASE have other tokenizers: a distribution over one's tokens says nothing of the other's.",
            kind="model", where=str(given.path), next="Give the very model that MODEL was tuned from.",
        )  # fmt: skip
