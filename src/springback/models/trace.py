"""One traced forward: what every module was given and gave, in the order of the calls.

Everything is cloned when it is seen. Some blocks add into a tensor in place afterwards (falcon adds its attention
output into the output of its MLP), and a reference would show the sum instead of what the module gave.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(slots=True)
class Call:
    """One call of one module."""

    order: int
    """When it began, counted over all calls of the forward."""
    given: Tensor | None
    """The first floating [batch, time, width] argument; None where there is none."""
    gave: Tensor | None = None
    """The output, or the first entry of a tuple of outputs; None where that is no tensor."""
    arity: int = 0
    """0 for a module that returns a bare tensor, else the length of the tuple."""


class Output(NamedTuple):
    """A module's output taken apart: transformers' blocks return a tensor or a tuple, by version and architecture."""

    hidden: Tensor | None
    arity: int


@dataclass(slots=True)
class Trace:
    """All calls of one forward, by module name."""

    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def once(self, name: str) -> Call | None:
        """The call of a module that was called exactly once."""
        calls = self.calls.get(name, [])
        return calls[0] if len(calls) == 1 else None


def stream_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Float[Tensor, "batch time width"] | None:
    """The first floating three-axis tensor among the arguments: the residual stream, for a block."""
    return next((x for x in (*args, *kwargs.values()) if _is_stream(x)), None)


def taken_apart(output: Any) -> Output:
    """The hidden states of an output, whatever it came wrapped in."""
    if isinstance(output, Tensor):
        return Output(output, 0)
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        return Output(output[0], len(output))
    return Output(None, 0)


def put_together(hidden: Tensor, output: Any) -> Any:
    """`output` with other hidden states in it, in the same wrapping."""
    if isinstance(output, Tensor):
        return hidden
    return type(output)((hidden, *output[1:]))


@contextmanager
def traced(network: nn.Module) -> Iterator[Trace]:
    """Record every call of every module until the context ends; no hook is left behind."""
    trace = Trace()
    with ExitStack() as stack:
        for name, module in network.named_modules():
            before, after = _recorders(trace, name)
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after).remove)
        yield trace


def _recorders(trace: Trace, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    open_calls: list[Call] = []

    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        given = stream_in(args, kwargs)
        open_calls.append(Call(trace.count, None if given is None else given.detach().clone()))
        trace.count += 1

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        hidden, arity = taken_apart(output)
        call = open_calls.pop()
        call.gave, call.arity = None if hidden is None else hidden.detach().clone(), arity
        trace.calls[name].append(call)

    return before, after


def _is_stream(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.ndim == 3
