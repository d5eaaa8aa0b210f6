"""What modules read and what comes back to what they wrote, in one forward and one backward pass over activations.

No parameter requires a gradient meanwhile, so none is formed: each signal is handed on when it arrives and forgotten.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from springback.train.entanglement.kinds import Call, Kind
from springback.train.entanglement.lines import Lines, UnknownModuleError
from springback.train.entanglement.uses import Use

Take = Callable[["Tape", str, Use], None]
"""Receives the tape, the parameter's name and one use of it, as the backward pass reaches it."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Which module holds which counted parameter under which name of its own."""

    of: Mapping[str, Mapping[str, str]]
    """By module name: the module's own name of a parameter -> the network's name of it (a tied one's first)."""

    @classmethod
    def find(cls, network: nn.Module, names: Collection[str]) -> "Owners":
        counted = {id(parameter): name for name, parameter in network.named_parameters() if name in set(names)}
        found = {}
        for path, module in network.named_modules():
            own = module.named_parameters(recurse=False, remove_duplicate=False)
            held = {local: counted[id(p)] for local, p in own if id(p) in counted}
            if held:
                found[path] = held
        return cls(found)


@dataclass(slots=True)
class Tape:
    """Turns signals into uses while a forward pass and its backward pass run inside `listening`."""

    owners: Owners
    kinds: Mapping[str, Kind]
    lines: Lines
    take: Take
    calls: Counter[str] = field(default_factory=Counter)
    """How often each parameter was used in the forward pass; complete when the first signal arrives."""
    asking: bool = False
    """A module is being asked again: no call of the network's."""
    _hooks: list[RemovableHandle] = field(default_factory=list)
    """Those on what modules gave. One that stayed would hold the graph that holds it, beyond Python's reach."""

    @contextmanager
    def listening(self, network: nn.Module, *, without: Collection[str] = ()) -> Iterator[None]:
        """Hear every module that holds a counted parameter, except these; `UnknownModuleError` for a strange one."""
        handles = [
            network.get_submodule(path).register_forward_hook(partial(self._called, path), with_kwargs=True)
            for path in self.owners.of
            if path not in without
        ]
        try:
            with only_gradients_of(network, ()), torch.enable_grad():
                yield
        finally:
            for handle in (*handles, *self._hooks):
                handle.remove()
            self._hooks.clear()

    def used(self, path: str, uses: Iterator[tuple[str, Use]]) -> None:
        """Hand on those uses that are of counted parameters."""
        for local, use in uses:
            if local in self.owners.of[path]:
                self.take(self, self.owners.of[path][local], use)

    def count(self, path: str) -> None:
        """A call of this module uses what it holds once."""
        self.calls.update(self.owners.of[path].values())

    def _called(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if self.asking:
            return
        kind = self.kinds.get(path)
        if kind is None:
            raise UnknownModuleError(f"{type(module).__name__} {path} (its gradients are not known)")
        if not out.requires_grad:
            out.requires_grad_()
        self.count(path)
        heard = partial(self._answered, path, kind, Call(module, args, kwargs, None))
        self._hooks.append(out.register_hook(heard))

    def _answered(self, path: str, kind: Kind, call: Call, signal: Tensor) -> None:
        self.asking = True
        try:
            uses = kind.uses(call, signal, self.lines)
            if uses is None:
                raise UnknownModuleError(f"{type(call.module).__name__} {path} (its rows cannot be told apart)")
            self.used(path, uses)
        finally:
            self.asking = False


@contextmanager
def only_gradients_of(network: nn.Module, names: Collection[str]) -> Iterator[dict[str, nn.Parameter]]:
    """Inside, these parameters alone require a gradient, and none has one yet; all is put back, on exceptions too."""
    kept = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    try:
        for parameter, _, _ in kept:
            parameter.requires_grad, parameter.grad = False, None
        counted = {name: network.get_parameter(name) for name in names}
        for parameter in counted.values():
            parameter.requires_grad = True
        yield counted
    finally:
        for parameter, wanted, gradient in kept:
            parameter.requires_grad, parameter.grad = wanted, gradient
