"""Models on their device, ready to be trained, and rows tokenised: what a laboratory is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from springback.data.ledger import Ledger
from springback.errors import RefusedError
from springback.experiments.audit.workbench import device_of, dtype_of
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.offers import Resolved
from springback.experiments.prefer.sources import Sources
from springback.fit.masters import MasterAdamW
from springback.models.adapters import LoRA, attach
from springback.models.language_model import LanguageModel
from springback.models.load import TINY, load
from springback.models.pair_tokens import Item, Tokenised, tokenised
from springback.train.recipe import SFT


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that can be refused has been read."""

    model: LanguageModel
    optimizer: MasterAdamW
    second: LanguageModel | None
    """The reference, where it is another model."""
    train: tuple[Item, ...]
    held_out: tuple[Item, ...]
    ledgers: tuple[Ledger, ...]
    way: Resolved
    wheres: tuple[str, ...]
    """`file:line` of each training row."""
    places: tuple[int, ...] | None = None
    """Which of the rows that fit are trained on, where a filter has left some out."""


def bench(design: Design, sources: Sources, way: Resolved) -> Bench:
    """Load and tokenise. RefusedError for rows that do not fit, and a reference with other tokens."""
    audit = design.audit()
    device, dtype = device_of(audit), dtype_of(audit)
    model = _loaded(design.model, design, torch.float32 if design.tuner == "full" else dtype)
    train, held_out = (_tokens(model, rows, design) for rows in (sources.train, sources.held_out))
    _require(train, held_out, design)
    second = None if design.reference is None or way == "none" else _second(design, model, dtype, device)
    ledgers = [*sources.ledgers, *(each.ledger for each in (train, held_out) if each.ledger.dropped)]
    optimizer = _full(model, design, device, dtype) if design.tuner == "full" else _adapter(model, design, device)
    wheres = tuple(sources.train[place].where for place in train.kept)
    return Bench(model, optimizer, second, train.items, held_out.items, tuple(ledgers), way, wheres)


def _loaded(spec: str, design: Design, dtype: torch.dtype) -> LanguageModel:
    if design.tiny:
        torch.set_num_threads(1)  # a model this small is slower on two threads
    name = TINY if design.tiny else spec
    return load(name, dtype=dtype, trust_remote_code=design.trust_remote_code)


def _tokens(model: LanguageModel, rows: tuple, design: Design) -> Tokenised:
    return tokenised(model, rows, max_length=design.max_length, too_long=design.too_long)


def _require(train: Tokenised, held_out: Tokenised, design: Design) -> None:
    if not train.items or len(held_out.items) < 2:
        raise RefusedError(
            f"{len(train.items)} rows that fit are left to train on and {len(held_out.items)} held out; it takes at "
            f"least 1 and 2. {train.ledger.sentence()}.",
            kind="data", where=design.data, next="Raise --max-length, or bring more data.",
        )  # fmt: skip


def _second(design: Design, model: LanguageModel, dtype: torch.dtype, device: str) -> LanguageModel:
    assert design.reference is not None
    found = load(design.reference, dtype=dtype, device=device, trust_remote_code=design.trust_remote_code)
    if found.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        raise RefusedError(
            "The reference has another tokenizer: the same answer has other tokens.", kind="model",
            where="--reference", next="Give the model that this one comes from.",
        )  # fmt: skip
    return found


def _full(model: LanguageModel, design: Design, device: str, dtype: torch.dtype) -> MasterAdamW:
    """Masters begin from the weights in full precision."""
    network = model.network
    masters: Mapping[str, Tensor] = {name: each.detach() for name, each in network.state_dict(keep_vars=True).items()}
    network.to(device=device, dtype=dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]
    network.requires_grad_(True)  # noqa: FBT003
    return _optimizer(model, design, masters if dtype == torch.bfloat16 else None)


def _adapter(model: LanguageModel, design: Design, device: str) -> MasterAdamW:
    model.network.to(device)  # pyright: ignore[reportArgumentType]
    attach(model.network, LoRA(rank=design.rank, alpha=2.0 * design.rank, seed=design.seed))
    return _optimizer(model, design, None)


def _optimizer(model: LanguageModel, design: Design, masters: Mapping[str, Tensor] | None) -> MasterAdamW:
    recipe = SFT()
    return MasterAdamW(
        model.network, masters, betas=recipe.betas, eps=recipe.eps, weight_decay=design.weight_decay
    )  # fmt: skip
