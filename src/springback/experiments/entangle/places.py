"""Where a parameter stands: its layer and its kind, from its name alone. Torch-free."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

EMBEDDING: Final = ("embed", "wte", "wpe", "lm_head")
NORM: Final = ("norm", "ln_", "layernorm")
OUTSIDE: Final = "outside the layers"


@dataclass(frozen=True, slots=True)
class Places:
    """By parameter name."""

    layer: dict[str, str]
    """`layer 0` …, or `outside the layers` (embedding, head, last norm)."""
    kind: dict[str, str]
    """`q_proj`, `down_proj`, `norm`, `embedding and head` …; of LoRA `q_proj lora_A`."""


def places(names: Iterable[str]) -> Places:
    """The places of these parameters."""
    known = list(names)
    return Places({name: layer_of(name) for name in known}, {name: kind_of(name) for name in known})


def layer_of(name: str) -> str:
    """The first number in the name is the layer's."""
    number = next((part for part in name.split(".") if part.isdigit()), None)
    return OUTSIDE if number is None else f"layer {number}"


def kind_of(name: str) -> str:
    """The module's own name; norms, and embedding with head, are one kind each."""
    parts = name.split(".")
    factor = next((part for part in parts if part.startswith("lora_")), None)
    if factor is not None:
        return f"{parts[parts.index(factor) - 1]} {factor}"
    module = parts[-2] if len(parts) > 1 else parts[0]
    if any(word in module.lower() for word in EMBEDDING):
        return "embedding and head"
    return "norm" if any(word in module.lower() for word in NORM) else module
