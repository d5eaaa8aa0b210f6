"""The reference of a run: made once, stored in the run's directory, or kept in memory, as the loss and options say."""

import copy
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import torch

from springback.experiments.prefer.bench import Bench
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.order import Order
from springback.models.adapters import start_view
from springback.models.language_model import LanguageModel
from springback.models.pair_tokens import rows_sha256
from springback.train.preference.method import Need
from springback.train.preference_step import Batch, Reference
from springback.train.reference import AdapterOff, NoReference, SecondModel, Stored, fill
from springback.train.reference_table import Places, Table, load, save

FILE: Final = "reference.safetensors"
"""Name of the stored log-probabilities in a run's directory."""


def reference(
    design: Design, bench: Bench, needs: AbstractSet[Need], order: Order, folder: Path, data_sha256: str,
    counted: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> Reference:  # fmt: skip
    """Where the loss gets its reference from. `counted` passes batches through while they are computed.

    RefusedError where stored ones were made for something else.
    """
    if bench.way == "none":
        return NoReference()
    if bench.way == "adapter_off":
        return AdapterOff(bench.model.network)
    if bench.way == "model":
        return SecondModel(bench.second.network if bench.second else _copy(bench.model))
    table = _table(design, bench, needs, order, folder, data_sha256, counted)
    weight = next(bench.model.network.parameters())
    accurate = torch.float32 if weight.device.type == "mps" else torch.float64
    return Stored(table, Places.of(bench.train), torch.zeros((), dtype=accurate, device=weight.device))


def require_fresh(design: Design, bench: Bench, needs: AbstractSet[Need], data_sha256: str) -> None:
    """Refuse stored log-probabilities that were made for something else, before anything is written."""
    if design.reference_logprobs is not None:
        known = facts(design, bench, data_sha256)
        load(Path(design.reference_logprobs), bench.train, known, by_token="tokens" in needs)


def facts(design: Design, bench: Bench, data_sha256: str) -> dict[str, Any]:
    """What stored log-probabilities hold for."""
    model = bench.second or bench.model
    return {
        "model_sha256": model.weights_sha256,
        "template_sha256": bench.model.template_sha256,
        "data_sha256": data_sha256,
        "rows_sha256": rows_sha256(bench.train),
        "dtype": str(next(bench.model.network.parameters()).dtype if design.tuner == "full" else _base_type(bench)),
        "max_length": design.max_length,
    }


def batches(order: Order, bench: Bench) -> list[Batch]:
    """The first epoch's micro-batches: read in the company in which they are trained on, they agree to the bit."""
    return [Batch(places, tuple(bench.train[place] for place in places)) for places in order.first_epoch()]


def _table(
    design: Design, bench: Bench, needs: AbstractSet[Need], order: Order, folder: Path, data_sha256: str,
    counted: Callable[[Iterable[Batch]], Iterable[Batch]],
) -> Table:  # fmt: skip
    known, by_token = facts(design, bench, data_sha256), "tokens" in needs
    given = design.reference_logprobs
    own = folder / FILE
    if given is not None or own.exists():
        return load(Path(given) if given is not None else own, bench.train, known, by_token=by_token)
    table = _filled(bench, needs, counted(batches(order, bench)))
    save(own, table, known)
    return table


def _filled(bench: Bench, needs: AbstractSet[Need], found: Iterable[Batch]) -> Table:
    network = bench.second.network if bench.second else bench.model.network
    with start_view(network):
        *_, table = fill(network, bench.train, found, needs)
    return table


def _copy(model: LanguageModel) -> Any:
    return copy.deepcopy(model.network).requires_grad_(False)  # noqa: FBT003


def _base_type(bench: Bench) -> torch.dtype:
    return next(each.dtype for name, each in bench.model.network.named_parameters() if ".lora_" not in name)
