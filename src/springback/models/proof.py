"""What is proven about a network before any of its residuals is read or replaced.

1. The blocks form a chain: each is called once, in order, on exactly what the one before it gave (`models.chain`).
2. *block out − block in = scale · Σ branches* for every block (`models.branches`), or else every single restart holds.
3. A restart after a block, from its residual alone, reproduces the logits: nothing flows past the stream.
4. A token is not seen from before it (the network is causal).
5. What the network keeps between calls is keys and values that can be cut back, or nothing.

Whatever fails is refused with the module and the reason: recurrent state, encoder-decoders, streams of several lanes,
layers that read another layer's keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Never

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from springback.errors import RefusedError
from springback.models import anatomy, chain
from springback.models.branches import Branches, branches
from springback.models.cache import cut, holds, unfit
from springback.models.chain import Link
from springback.models.hooks import restart
from springback.models.layout import Layout
from springback.models.readout import quiet
from springback.models.trace import Trace, traced

TOKENS = 6
"""Length of the traced sequences; two of them, equal up to the last token."""
PREFIX = 3
"""Of these, how many go into the cache first when the cache is checked."""
ROUNDINGS = 16.0
"""How far equal rows of one batch may differ: eps times the largest magnitude, this many times."""
CACHE_ERROR = 8.0
"""The same for cached against uncached logits, in units of √eps."""

Ids = Int[Tensor, "batch time"]
Logits = Float[Tensor, "batch time vocab"]


class Seen(NamedTuple):
    """One traced forward and what came out of it."""

    ids: Ids
    trace: Trace
    logits: Logits
    noise: float
    """Largest difference to the same forward once more: 0 where kernels are deterministic."""


def proven(network: nn.Module) -> Layout:
    """The verified layout; RefusedError (kind `model`) names the module and the reason where a proof fails."""
    with quiet(network):
        seen = _seen(network)
        links = _links(network, seen.trace)
        _check_causal(links)
        found = _all_branches(seen.trace, links)
        layout = _layout(network, seen, links, found)
        _check_restarts(network, layout, seen, links)
        return layout


def _layout(network: nn.Module, seen: Seen, links: list[Link], found: list[Branches]) -> Layout:
    last = len(links) - 1
    head = anatomy.head(seen.trace, links[-1], seen.logits.shape[-1])
    return Layout(
        blocks=tuple(link.name for link in links),
        arity=tuple(link.arity for link in links),
        width=links[0].gave.shape[-1],
        embedding=anatomy.embedding(network, seen.trace),
        norm=anatomy.norm(seen.trace, links[-1], head),
        head=head,
        proof="branches" if found else "chain",
        branches=tuple(block.names for block in found),
        scales=tuple(block.scale for block in found),
        error=max((block.error for block in found), default=0.0),
        restarts=tuple(sorted({0, last // 2, last})) if found else tuple(range(last + 1)),
        cached=_cached(network, seen),
    )


def _seen(network: nn.Module) -> Seen:
    if getattr(getattr(network, "config", None), "is_encoder_decoder", False):
        _refuse(network, "it is an encoder with a decoder: there are two streams and no single stack to read")
    ids = anatomy.probe_ids(network, TOKENS)
    with _refusing(network, "it cannot run on token ids alone"):
        plain = network(input_ids=ids, use_cache=False).logits
        with traced(network) as trace:
            logits = network(input_ids=ids, use_cache=False).logits
    if logits.shape[:2] != ids.shape:
        _refuse(network, f"its logits have the shape {list(logits.shape)} for ids of the shape {list(ids.shape)}")
    return Seen(ids, trace, logits, (plain.float() - logits.float()).abs().max().item())


def _links(network: nn.Module, trace: Trace) -> list[Link]:
    found = chain.find(network, trace)
    if isinstance(found, str):
        _refuse(network, f"its residual stream was not found: {found}")
    return found


def _check_causal(links: list[Link]) -> None:
    """The two rows differ in their last token only, so the stream before it must be the same in both."""
    for link in links:
        first, second = link.gave[:, :-1].float()
        limit = ROUNDINGS * torch.finfo(link.gave.dtype).eps * first.abs().max().item()
        if (first - second).abs().max().item() > limit:
            _refuse(link.name, "it lets a position see later tokens; only causal language models can be read")


def _all_branches(trace: Trace, links: list[Link]) -> list[Branches]:
    """One proof per block, or none at all: a sum that holds for some blocks only proves nothing for the rest."""
    found: list[Branches] = []
    for link in links:
        block = branches(trace, link.name, try_first=found[-1].names if found else ())
        if block is None:
            return []
        found.append(block)
    return found


def _check_restarts(network: nn.Module, layout: Layout, seen: Seen, links: list[Link]) -> None:
    def logits_after(layer: int, hidden: Tensor) -> Logits:
        with (
            _refusing(layout.blocks[layer], "the blocks after it cannot run without those before it"),
            restart(network, layout, layer, hidden),
        ):
            return network(input_ids=seen.ids, use_cache=False).logits

    for layer in layout.restarts:
        difference = (logits_after(layer, links[layer].gave) - seen.logits).abs().max().item()
        if not difference <= 4 * seen.noise:
            _refuse(
                links[layer].name,
                f"the network restarted from its output alone differs by {difference:.2g} in a logit: something other "
                "than the residual stream connects the blocks",
            )
    last = layout.layers - 1
    if torch.equal(logits_after(last, links[last].gave.roll(1, dims=-1)), seen.logits):
        _refuse(links[last].name, "the logits do not depend on its output")


def _cached(network: nn.Module, seen: Seen) -> bool:
    """Whether a prefix in the cache and the rest after it give the logits of the whole. Other state is refused."""
    with _refusing(network, "it cannot keep what it has read"):
        out = network(input_ids=seen.ids[:, :PREFIX], use_cache=True)
    cache = out.get("past_key_values")
    state = [key for key in out if any(word in key for word in ("cache", "state", "mems")) and key != "hidden_states"]
    why = f"it returns {state[0]}" if state else unfit(cache) if cache is not None else None
    if why:
        _refuse(network, f"it keeps something other than keys and values between tokens: {why}")
    if cache is None or not holds(cache, PREFIX):
        return False
    rest = network(input_ids=seen.ids[:, PREFIX:], past_key_values=cut(cache, PREFIX), use_cache=True).logits
    limit = CACHE_ERROR * torch.finfo(rest.dtype).eps ** 0.5 * seen.logits.abs().max().item()
    return (rest - seen.logits[:, PREFIX:]).abs().max().item() <= limit


@contextmanager
def _refusing(where: nn.Module | str, why: str) -> Iterator[None]:
    """Whatever a foreign network raises while it is probed becomes the reason for refusing it."""
    try:
        yield
    except Exception as error:
        _refuse(where, f"{why} ({type(error).__name__}: {error})", error)


def _refuse(where: nn.Module | str, why: str, cause: Exception | None = None) -> Never:
    name = where if isinstance(where, str) else type(where).__name__
    raise RefusedError(
        f"{name}: {why}.",
        kind="model",
        where=name,
        next="The readings that need no layers work for this model; leave layer depth out.",
    ) from cause
