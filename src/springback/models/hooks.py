"""Reading and changing the residual stream after a block, and starting in the middle of the network.

Each is a context manager around the caller's own forward or `generate`. Contexts may be nested; they act in the order
in which they were entered, so a capture inside an edit sees the edited stream. Whatever happens inside, the network is
afterwards as it was: no hook is left and its logits are bit-equal.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from springback.models.layout import Layout
from springback.models.trace import put_together, stream_in, taken_apart

Stream = Float[Tensor, "batch time width"]
Edit = Callable[[Tensor], Tensor]


class Captured(Mapping[int, Stream]):
    """Residuals by layer. Several forwards in one context (`generate` with a cache) are joined along time."""

    def __init__(self, layers: Collection[int]) -> None:
        self.steps: dict[int, list[Stream]] = {layer: [] for layer in layers}

    def __getitem__(self, layer: int) -> Stream:
        steps = self.steps[layer]
        if not steps:
            raise ValueError(f"Nothing was captured after block {layer}: no forward ran inside the context")
        return steps[0] if len(steps) == 1 else torch.cat(steps, dim=1)

    def __iter__(self) -> Iterator[int]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)


@contextmanager
def capture(
    network: nn.Module,
    layout: Layout,
    layers: Collection[int],
    positions: slice | Int[Tensor, " position"] | None = None,
) -> Iterator[Captured]:
    """Clone the residual stream after these blocks, at these positions of each forward (default: all).

    Only what is asked for is kept: layers × batch × positions × width. The clones carry a gradient if the forward does.
    """
    captured = Captured(layers)
    kept = slice(None) if positions is None else positions

    def reader(layer: int) -> Callable[..., None]:
        return lambda _module, _args, output: captured.steps[layer].append(_hidden(output)[:, kept].clone())

    with _hooked(network, layout, {layer: reader(layer) for layer in captured}):
        yield captured


@contextmanager
def edit(network: nn.Module, layout: Layout, edits: Mapping[int, Edit]) -> Iterator[None]:
    """Replace the residual stream after each of these blocks by what its function makes of it.

    The function gets [batch, time, width] and returns the same shape in the same dtype (ValueError otherwise).
    """

    def writer(layer: int) -> Callable[..., Any]:
        return lambda _module, _args, output: put_together(_edited(_hidden(output), edits[layer], layer), output)

    with _hooked(network, layout, {layer: writer(layer) for layer in edits}):
        yield


@contextmanager
def restart(network: nn.Module, layout: Layout, layer: int, hidden: Stream) -> Iterator[None]:
    """Run only what follows block `layer`, from `hidden` as its output; masks and positions come from the inputs.

    Inside, call the network with the inputs that `hidden` belongs to. The blocks up to `layer` are not computed, nor do
    they fill a cache. With the residual of the same forward the logits are bit-equal to those of that forward.
    ValueError where `hidden` does not have the shape and dtype of the stream.
    """
    layout.block(network, layer)  # an error where there is no such block
    with ExitStack() as stack:
        for index in range(layer + 1):
            stub = _stub(layout.arity[index], hidden if index == layer else None)
            stack.enter_context(_instead(layout.block(network, index), stub))
        yield


def _hooked(network: nn.Module, layout: Layout, hooks: Mapping[int, Callable[..., Any]]) -> ExitStack:
    with ExitStack() as stack:
        for layer, hook in hooks.items():
            stack.callback(layout.block(network, layer).register_forward_hook(hook).remove)
        return stack.pop_all()  # nothing stays behind when one of the layers does not exist


def _hidden(output: Any) -> Stream:
    hidden = taken_apart(output).hidden
    if hidden is None:
        raise ValueError(f"This block returned a {type(output).__name__} without hidden states; its layout has changed")
    return hidden


def _edited(hidden: Stream, change: Edit, layer: int) -> Stream:
    return _fitting(change(hidden), hidden, f"What the edit after block {layer} returned")


def _fitting(new: Tensor, old: Tensor, what: str) -> Tensor:
    if new.shape != old.shape or new.dtype != old.dtype:
        raise ValueError(
            f"{what} must have shape and dtype of the stream, {list(old.shape)} {old.dtype}: "
            f"got {list(new.shape)} {new.dtype}"
        )
    return new


def _stub(arity: int, hidden: Stream | None) -> Callable[..., Any]:
    def stub(*args: Any, **kwargs: Any) -> Any:
        given = stream_in(args, kwargs)
        if given is None:
            raise ValueError("This block was called without hidden states; its layout has changed")
        gave = given if hidden is None else _fitting(hidden, given, "The residual to restart from").clone()
        return (gave, *[None] * (arity - 1)) if arity else gave

    return stub


@contextmanager
def _instead(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward for one module object; one that was already set on the object is put back."""
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = own
