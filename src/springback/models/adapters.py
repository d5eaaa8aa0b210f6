"""LoRA (Hu et al., 2022): W x + (α / r) B A x on every linear layer but the head, W frozen.

fp32 factors over a base of any dtype. The factors are put into the network in place (extra `peft`), so what scores,
samples or hooks the network sees the adapter without knowing; switched off, the network is the start, bit for bit, and
no second copy is needed. B starts at 0: the tuned model begins as the start, and A has no gradient before step two.

What it does not do: merge, several adapters at once, embeddings, dropout (a step depends on weights and rows alone).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from springback import papers
from springback.errors import RefusedError
from springback.tensors.seed import seeded


@dataclass(frozen=True, slots=True)
class LoRA:
    """How an adapter is made."""

    paper: ClassVar = papers.LORA

    rank: int = 8
    """Rank of each factor pair."""
    alpha: float = 16
    """α; the factors' product is scaled by α / rank."""
    seed: int = 0
    """Of A's random values; B is 0."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise ValueError(f"rank ≥ 1 and alpha > 0 must hold, got {self}")


def attach(network: nn.Module, options: LoRA) -> list[str]:
    """Put a fresh adapter into the network (peft freezes the rest) and return the trainable tensors' names.

    Same seed, same values, on every device. `RefusedError` without the extra `peft`, or where there is an adapter.
    """
    _refuse_second(network)
    peft = _peft()
    config = peft.LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    with seeded(options.seed):
        peft.inject_adapter_in_model(config, network)
    for name in (names := trainable(network)):
        parameter = network.get_parameter(name)
        parameter.data = parameter.data.float()
    return names


def trainable(network: nn.Module) -> list[str]:
    """Names of the tensors that tuning moves."""
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad]


@contextmanager
def start_view(network: nn.Module) -> Iterator[nn.Module]:
    """Inside, the network computes without its adapter: the start. Without an adapter nothing changes.

    Put back on exceptions too; the same tensors are trainable afterwards.
    """
    layers = _layers(network)
    moved = trainable(network)
    try:
        for layer in layers:
            layer.enable_adapters(enabled=False)
        yield network
    finally:
        for layer in layers:
            layer.enable_adapters(enabled=True)
        _train_only(network, moved)


@torch.no_grad()
def put_under(network: nn.Module, source: nn.Module) -> None:
    """Give the network the frozen weights of another one of its kind; its adapter stays as it is."""
    given = dict(source.named_parameters(remove_duplicate=False)) | dict(source.named_buffers(remove_duplicate=False))
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if not tensor.requires_grad:
            tensor.copy_(given[name.replace(".base_layer.", ".")])


def adapted(network: nn.Module) -> bool:
    """Whether the network carries an adapter."""
    return bool(_layers(network))


def _train_only(network: nn.Module, names: list[str]) -> None:
    wanted = set(names)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in wanted)


def _layers(network: nn.Module) -> list[Any]:
    """The layers that peft has put in the place of linear ones; known by their parts, so that peft is not imported."""
    return [
        layer
        for layer in network.modules()
        if getattr(layer, "enable_adapters", None) and "base_layer" in layer._modules
    ]


def _refuse_second(network: nn.Module) -> None:
    if adapted(network):
        raise RefusedError(
            "The model carries an adapter already; a second one on top cannot be told from it.",
            kind="model", next="Merge the first adapter into the model, or tune it with --tuner full.",
        )  # fmt: skip


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise RefusedError(
            "LoRA needs the package peft, which is not installed.",
            kind="option", where="--tuner lora", next="Install it with: pip install 'springback[peft]'",
        ) from error  # fmt: skip
    return peft
