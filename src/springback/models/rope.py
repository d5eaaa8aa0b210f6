"""Whether the network really turns by the angle its folder states.

The base of the rotary embedding stands at the top of a configuration (transformers 4) or inside `rope_parameters`
(transformers 5). A loader that knows one place only reads the other kind with its default of 10,000 and says nothing;
at short length hardly anything shows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from springback.errors import RefusedError
from springback.models.facts import text_config

TOLERANCE = 1e-3
"""Relative: frequencies are stored in single precision."""


def require_same_rope(config: Mapping[str, Any], network: nn.Module) -> None:
    """Refuse a folder whose `rope_theta` is not what the network uses, or that states two.

    Raises:
        RefusedError: with the values of both.
    """
    used = sorted(used_thetas(network))
    for stated in stated_thetas(config):
        if used and not any(abs(stated - theta) <= TOLERANCE * stated for theta in used):
            raise _another(stated, ", ".join(f"{theta:g}" for theta in used))


def stated_thetas(config: Mapping[str, Any]) -> set[float]:
    """Every base that a configuration states, wherever it stands."""
    inner = text_config(dict(config))
    parameters = inner.get("rope_parameters") or {}
    nested = [part for part in (parameters, *parameters.values()) if isinstance(part, Mapping)]
    inside = {float(part["rope_theta"]) for part in nested if part.get("rope_theta") is not None}
    top = {float(inner[name]) for name in ("rope_theta", "rope_local_base_freq") if inner.get(name) is not None}
    return inside | top


def used_thetas(network: nn.Module) -> Iterator[float]:
    """The bases that the rotary embeddings turn by.

    Worked back from the frequencies where nothing scales them: pair i turns by theta^(-2i/d) a position. Where
    something does (llama3, yarn, …), the configuration in memory speaks.
    """
    for module in network.modules():
        for name, frequencies in module.named_buffers(recurse=False):
            if name.endswith("inv_freq") and "original" not in name and len(frequencies) > 1:
                yield _base(module, name, frequencies)


def _base(module: nn.Module, name: str, frequencies: torch.Tensor) -> float:
    kind = name.removesuffix("inv_freq").rstrip("_")
    said = getattr(getattr(module, "config", None), "rope_parameters", None) or {}
    said = said.get(kind, said) if kind else said
    if said.get("rope_type", "default") != "default" and said.get("rope_theta") is not None:
        return float(said["rope_theta"])
    return float(frequencies[1].double() ** -len(frequencies))


def _another(stated: float, used: str) -> RefusedError:
    return RefusedError(
        f"config.json states rope_theta {stated:g}, but the network would use {used}: it would be another model.",
        kind="model",
        where="config.json: rope_theta",
        next="Write the same rope_theta at the top level and inside rope_parameters, or remove the wrong one.",
    )
