"""Logits at chosen positions only, by a route that was checked on this very network.

The last matrix product is the dearest of a small model, and most positions need none of it. `head(backbone(ids))`
equals the logits for most architectures, but not where logits are scaled or capped (granite, cohere, gemma2); there
the network's own forward is asked for fewer positions, and where it cannot, for all of them.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Route = Literal["head", "keep", "whole"]
PROBE = 5
"""Tokens of the input on which a route is checked."""
_routes: WeakKeyDictionary[nn.Module, Route] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one forward pass left: enough to make the logits of the wanted positions, some rows at a time."""

    states: Float[Tensor, "row width"]
    head: Callable[[Tensor], Tensor] | None
    """From states to logits; None where the states are the logits already."""
    cache: object

    def logits(self, rows: int) -> Iterator[Float[Tensor, "part vocab"]]:
        """In the compute dtype, at most `rows` rows at once, ordered by batch row and then by time."""
        for part in self.states.split(rows):
            yield part if self.head is None else self.head(part)


def read(network: nn.Module, inputs: Mapping[str, Any], wanted: Bool[Tensor, "batch time"]) -> Reading:
    """One forward pass over `inputs`; `wanted` marks the positions whose next-token logits are needed."""
    way = route(network)
    if way == "head":
        out = backbone(network)(**inputs)
        hidden = out.last_hidden_state
        return Reading(hidden[wanted.to(hidden.device)], head(network), out.get("past_key_values"))
    if way == "keep":
        columns = wanted.any(dim=0).nonzero().squeeze(-1)
        out, wanted = network(**inputs, logits_to_keep=columns), wanted[:, columns.to(wanted.device)]
    else:
        out = network(**inputs)
    return Reading(out.logits[wanted.to(out.logits.device)], None, out.get("past_key_values"))


def route(network: nn.Module) -> Route:
    """How this network's logits can be read; found out once for each network object."""
    if network not in _routes:
        with quiet(network):
            _routes[network] = next(way for way, works in _CHECKS.items() if works(network))
    return _routes[network]


def by_forward(network: nn.Module) -> None:
    """From now on this network's logits are read by its own forward, where its head may not be called apart."""
    with quiet(network):
        _routes[network] = "keep" if _keep_works(network) else "whole"


@contextmanager
def quiet(network: nn.Module) -> Iterator[None]:
    """No gradient and no dropout inside; every module's mode is put back after, on exceptions too."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def backbone(network: nn.Module) -> nn.Module:
    """The network without its language-model head."""
    return network.get_decoder()  # pyright: ignore[reportCallIssue]


def head(network: nn.Module) -> nn.Module:
    """The last linear map, from hidden states to the vocabulary."""
    return network.get_output_embeddings()  # pyright: ignore[reportCallIssue]


def text_config(network: nn.Module) -> Any:
    """The configuration of the decoder, also where it is a part of a larger one."""
    return network.config.get_text_config()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]


def context(network: nn.Module) -> int | None:
    """The most tokens that the network was made to read; None where it does not say."""
    return getattr(text_config(network), "max_position_embeddings", None)


def accepts(network: nn.Module, argument: str) -> bool:
    """Whether the network's forward names this argument (a PEFT wrapper is asked about what it wraps)."""
    unwrap = getattr(network, "get_base_model", None)
    return argument in inspect.signature((unwrap() if unwrap else network).forward).parameters


def _head_works(network: nn.Module) -> bool:
    """head(backbone(x)) is bit-equal to the logits: for real hidden states, and for large planted ones.

    The planted ones are for caps and scales whose effect is below rounding while the logits are small.
    """
    body, last = _part(network, "get_decoder"), _part(network, "get_output_embeddings")
    if body is None or last is None or body is network:
        return False
    probe = _probe(network)
    hidden = getattr(body(**probe), "last_hidden_state", None)
    if hidden is None or not torch.equal(last(hidden), network(**probe).logits):
        return False
    planted = 100 * torch.linspace(-1, 1, hidden.numel()).reshape(hidden.shape).to(hidden)
    handle = body.register_forward_hook(lambda _module, _args, out: _replaced(out, planted))
    try:
        return torch.equal(last(planted), network(**probe).logits)
    finally:
        handle.remove()


def _keep_works(network: nn.Module) -> bool:
    """`logits_to_keep` with column numbers gives just those columns of the full forward."""
    if not accepts(network, "logits_to_keep"):
        return False
    probe, columns = _probe(network), torch.tensor([1, PROBE - 1])
    kept, full = network(**probe, logits_to_keep=columns).logits, network(**probe).logits
    rounding = 8 * torch.finfo(full.dtype).eps * float(full.abs().max())
    return kept.shape[1] == len(columns) and torch.allclose(kept, full[:, columns], rtol=0, atol=rounding)


def _probe(network: nn.Module) -> dict[str, Any]:
    device = next(network.parameters()).device
    return {"input_ids": torch.arange(1, PROBE + 1, device=device)[None], "use_cache": False}


def _part(network: nn.Module, getter: str) -> nn.Module | None:
    get = getattr(network, getter, None)
    return get() if get else None


def _replaced(out: Any, hidden: Tensor) -> Any:
    out["last_hidden_state"] = hidden
    return out


_CHECKS: dict[Route, Callable[[nn.Module], bool]] = {
    "head": _head_works,
    "keep": _keep_works,
    "whole": lambda _network: True,
}
