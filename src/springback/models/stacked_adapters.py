"""Several LoRA adapters (Hu et al., 2022) on one frozen network, trained in one forward and one backward pass.

    values   [adapter, number]    all factors of an adapter side by side, float32 (float64 over a float64 network)
    sums     [adapter, number]    the sums of their gradients

Each adapter starts with the values that `adapters.attach` gives it from its seed, on the layers that it reaches there.
A batch is made of lines; neighbouring lines belong to one adapter (`on`). Outside of `on` the network is the start.
Rows of one adapter never meet those of another: tried on this very network before the stack is handed out.

What it does not do: other layers than `nn.Linear`, different ranks, dropout, moving to another device afterwards.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from springback import papers
from springback.errors import RefusedError
from springback.models.adapters import LoRA, attach
from springback.models.anatomy import probe_ids
from springback.models.packing import why_not
from springback.models.readout import quiet, route
from springback.models.stacked_linear import Factors, Lines, StackedLinear

LINE = 1024
"""Numbers of an adapter are filled up to a multiple of this with zeros that never move."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one factor stands among the numbers of an adapter."""

    name: str
    """As in a network with this adapter alone: `….lora_A.default.weight`."""
    start: int
    shape: tuple[int, int]

    @property
    def stop(self) -> int:
        return self.start + self.shape[0] * self.shape[1]


@dataclass(slots=True, eq=False)
class Stack:
    """Adapters on one network; made by `stack`."""

    paper: ClassVar = papers.LORA

    network: nn.Module
    options: tuple[LoRA, ...]
    places: tuple[Place, ...]
    values: Tensor
    """[adapter, number]"""
    sums: Tensor
    """[adapter, number]; gradients are added here."""
    lines: Lines
    config: Any
    """PEFT's configuration, with the layers' names."""

    def __len__(self) -> int:
        return len(self.options)

    @contextmanager
    def on(self, counts: Sequence[int], time: int) -> Iterator[nn.Module]:
        """Inside, the first counts[0] lines of a batch are read with adapter 0, the next counts[1] with adapter 1, …

        `time`: positions of each line. The backward pass may come after, unless it computes activations again.
        """
        if len(counts) != len(self) or min(counts) < 0 or not any(counts):
            raise ValueError(f"{len(self)} adapters need as many counts of lines, one at least above 0: got {counts}.")
        before = self.lines.counts, self.lines.time
        self.lines.counts, self.lines.time = tuple(counts), time
        try:
            yield self.network
        finally:
            self.lines.counts, self.lines.time = before

    @contextmanager
    def alone(self, index: int) -> Iterator[nn.Module]:
        """Inside, every row is read with this adapter, whatever the batch: for scoring and sampling."""
        with self.on([int(other == index) for other in range(len(self))], 0) as network:
            yield network

    def factors(self, index: int, source: Tensor | None = None) -> dict[str, Tensor]:
        """Name → factor of one adapter: views of `values`, or of another tensor of its shape."""
        numbers = (self.values if source is None else source)[index]
        return {place.name: numbers[place.start : place.stop].view(place.shape) for place in self.places}

    def remove(self) -> None:
        """Put plain linear layers back; the network is the start again, frozen."""
        for module_name, module in list(self.network.named_modules()):
            if isinstance(module, StackedLinear):
                self.network.set_submodule(module_name, _plain(module))


def stack(network: nn.Module, options: Sequence[LoRA]) -> Stack:
    """Put one adapter for each of the options into the network and freeze the rest.

    `RefusedError` for different ranks, for layers that are no `nn.Linear` (GPT-2's Conv1D, quantised ones), and for a
    network that mixes the lines of a batch. The network is then left as it was, frozen.
    """
    if not options or len({each.rank for each in options}) > 1:
        raise RefusedError(
            f"Adapters that are trained together need one rank; got {[each.rank for each in options]}.",
            kind="option", next="Train those of one rank together, and each rank by itself.",
        )  # fmt: skip
    for find_out in (route, why_not):  # on the plain network; remembered for it
        find_out(network)
    fresh = [_fresh(network, each) for each in options]
    made = _laid_out(network, tuple(options), fresh)
    _put_in(made, fresh[0].layers)
    try:
        _try(made)
    except BaseException:
        made.remove()
        raise
    return made


class _Fresh(NamedTuple):
    """What `attach` gives one adapter."""

    values: dict[str, Tensor]
    layers: dict[str, nn.Linear]
    """The plain layers that it stands on, by name."""
    config: Any


def _fresh(network: nn.Module, options: LoRA) -> _Fresh:
    """Attached, looked at, and taken off again."""
    names, wrapped = attach(network, options), _vars(network)
    config = wrapped.pop("peft_config")["default"]
    values = {name: network.get_parameter(name).detach() for name in names}
    layers: dict[str, Any] = {
        name: network.get_submodule(name).base_layer for name in dict.fromkeys(map(_layer, names))
    }
    for name, layer in layers.items():
        network.set_submodule(name, layer)
    for name, layer in layers.items():
        if type(layer) is not nn.Linear or not layer.weight.is_floating_point():
            raise RefusedError(
                f"{name} is a {type(layer).__name__}; adapters are trained together on plain nn.Linear layers only.",
                kind="model", where=name, next="Train the adapters one after another.",
            )  # fmt: skip
    return _Fresh(values, layers, config)


def _vars(network: nn.Module) -> dict[str, Any]:
    return network.__dict__


def _layer(name: str) -> str:
    return name.partition(".lora_")[0]


def _laid_out(network: nn.Module, options: tuple[LoRA, ...], fresh: Sequence[_Fresh]) -> Stack:
    places, size = [], 0
    for name, tensor in fresh[0].values.items():
        places.append(Place(name, size, (tensor.shape[0], tensor.shape[1])))
        size = places[-1].stop
    device, dtype = next(iter(fresh[0].values.values())).device, next(network.parameters()).dtype
    accurate = torch.float64 if dtype == torch.float64 else torch.float32
    values = torch.zeros(len(options), -(-size // LINE) * LINE, dtype=accurate, device=device)
    lines = Lines(torch.zeros((), device=device, requires_grad=True))
    made = Stack(network, options, tuple(places), values, torch.zeros_like(values), lines, fresh[0].config)
    for index, start in enumerate(fresh):
        for name, view in made.factors(index).items():
            view.copy_(start.values[name])
    return made


def _put_in(made: Stack, layers: dict[str, nn.Linear]) -> None:
    scale = torch.tensor([each.alpha / each.rank for each in made.options]).to(made.values).view(-1, 1, 1)
    where = {place.name: place for place in made.places}
    for name, layer in layers.items():
        down, up = (where[f"{name}.lora_{letter}.default.weight"] for letter in "AB")
        views = [_view(tensor, place) for tensor in (made.values, made.sums) for place in (down, up)]
        made.network.set_submodule(name, StackedLinear(layer, Factors(*views, scale=scale), made.lines, name))


def _view(numbers: Tensor, place: Place) -> Tensor:
    return numbers[:, place.start : place.stop].view(-1, *place.shape)


def _plain(stacked: StackedLinear) -> nn.Linear:
    layer = nn.Linear(stacked.in_features, stacked.out_features, bias=stacked.bias is not None, device="meta")
    layer.weight, layer.bias = stacked.weight, stacked.bias
    return layer.train(stacked.training)


def _try(made: Stack) -> None:
    """Other values in the last adapter must change its own logits and leave the others' bit-equal."""
    if len(made) == 1:
        return
    kept, draw = made.values[-1].clone(), torch.Generator().manual_seed(0)
    ids = probe_ids(made.network, 5)[:1].expand(len(made), -1)
    with quiet(made.network), made.on([1] * len(made), ids.shape[1]):
        before = made.network(input_ids=ids, use_cache=False).logits
        made.values[-1] = torch.randn(kept.shape, generator=draw).to(kept)
        after = made.network(input_ids=ids, use_cache=False).logits
    made.values[-1] = kept
    if not torch.equal(before[:-1], after[:-1]) or torch.equal(before[-1], after[-1]):
        raise RefusedError(
            "In this network the lines of a batch are not apart: one adapter's change reaches another's rows.",
            kind="model", next="Train the adapters one after another.",
        )  # fmt: skip
