"""The chain of blocks in a trace: who was called once each, in order, on exactly what the one before gave."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from springback.models.trace import Trace


class Link(NamedTuple):
    """One block's call, with everything a link of the chain needs."""

    name: str
    order: int
    given: Tensor
    gave: Tensor
    arity: int


def find(network: nn.Module, trace: Trace) -> list[Link] | str:
    """The outermost, longest chain of blocks; where there is none, why the longest list is no chain."""
    lists = {
        name: module for name, module in network.named_modules() if isinstance(module, nn.ModuleList) and len(module)
    }
    tried = {name: _links(trace, name, len(module)) for name, module in lists.items()}
    chains = {name: links for name, links in tried.items() if not isinstance(links, str)}
    outermost = [links for name, links in chains.items() if not any(name.startswith(f"{other}.") for other in chains)]
    if outermost:
        return max(outermost, key=len)
    longest = max(lists, key=lambda name: len(lists[name]), default=None)
    return str(tried[longest]) if longest is not None else "it has no list of blocks"


def _links(trace: Trace, name: str, blocks: int) -> list[Link] | str:
    links: list[Link] = []
    for index in range(blocks):
        link = _link(trace, f"{name}.{index}")
        why = link if isinstance(link, str) else _misfit(links, link)
        if why or isinstance(link, str):
            return f"{name}.{index} {why}"
        links.append(link)
    return links


def _link(trace: Trace, name: str) -> Link | str:
    calls = trace.calls.get(name, [])
    if len(calls) != 1:
        return f"was called {len(calls)} times in one forward"
    call = calls[0]
    if call.given is None or call.gave is None:
        return "does not pass on hidden states of the form [batch, time, width]"
    return Link(name, call.order, call.given, call.gave, call.arity)


def _misfit(before: list[Link], link: Link) -> str | None:
    if link.given.shape != link.gave.shape:
        return f"changes the shape of the stream from {list(link.given.shape)} to {list(link.gave.shape)}"
    if before and link.order < before[-1].order:
        return "is called before the one that precedes it in the list"
    if before and not torch.equal(before[-1].gave, link.given):
        return "is not given what the block before it gave"
    return None
