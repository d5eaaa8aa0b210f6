"""What surrounds the blocks: the tokens to probe a network with, its embedding, its final norm and its head."""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor, nn

from springback.models.chain import Link
from springback.models.trace import Call, Trace


def probe_ids(network: nn.Module, tokens: int) -> Int[Tensor, "batch time"]:
    """Two sequences of ordinary tokens, equal up to the last, on the network's device."""
    vocabulary, special = _vocabulary(network), set(_special(network))
    ordinary = [i for i in (((7 * n) + vocabulary // 3) % vocabulary for n in range(vocabulary)) if i not in special]
    if len(set(ordinary)) <= tokens:
        raise ValueError(f"A vocabulary of {vocabulary} has fewer than {tokens + 1} ordinary tokens to probe with")
    first = ordinary[:tokens]
    return torch.tensor([first, [*first[:-1], ordinary[tokens]]], device=next(network.parameters()).device)


def embedding(network: nn.Module, trace: Trace) -> str | None:
    """The token embedding: the first embedding called."""
    called = {
        n: calls[0].order for n, calls in trace.calls.items() if isinstance(network.get_submodule(n), nn.Embedding)
    }
    return min(called, key=called.__getitem__, default=None)


def head(trace: Trace, last: Link, vocabulary: int) -> str | None:
    """The first module after the last block that gives one number per token of the vocabulary."""
    wide = {
        n: call.order for n, call in _after(trace, last) if call.gave is not None and call.gave.shape[-1] == vocabulary
    }
    first = max if vocabulary == last.gave.shape[-1] else min  # a norm is as wide then, and stands before the head
    return first(wide, key=wide.__getitem__) if wide else None


def norm(trace: Trace, last: Link, head: str | None) -> str | None:
    """The first module after the last block that is given exactly what that block gave; the head is none."""
    same = {
        n: call.order for n, call in _after(trace, last) if call.given is not None and _equal(call.given, last.gave)
    }
    name = min(same, key=same.__getitem__, default=None)
    return None if name == head else name


def _after(trace: Trace, last: Link) -> Iterator[tuple[str, Call]]:
    """Calls that begin after the last block, its own submodules left out."""
    for name, calls in trace.calls.items():
        if calls[0].order > last.order and not name.startswith(f"{last.name}."):
            yield name, calls[0]


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _vocabulary(network: nn.Module) -> int:
    """Rows of the input embedding; where the network does not say which that is, of the largest."""
    get = getattr(network, "get_input_embeddings", None)
    table = get() if get else None
    weight = getattr(table, "weight", None)
    if weight is not None:
        return weight.shape[0]
    return max(module.num_embeddings for module in network.modules() if isinstance(module, nn.Embedding))


def _special(network: nn.Module) -> Iterator[int]:
    """Token ids that the configuration gives a role: padding, image placeholders, ends."""
    config = getattr(network, "config", None)
    for name, value in vars(config).items() if config is not None else ():
        if name.endswith(("_token_id", "_token_index")):
            yield from value if isinstance(value, list) else [value]
