"""What can be said of a model without loading it: its folder is read, torch is not imported."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from springback.models.place import Place, place
from springback.models.weights import header, read_json, weight_files

BITS: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
UNBOUNDED: Final = 2**31 - 1
"""The context of a model that states none: nothing is cut."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes for planning: memory, disk, minutes."""

    name: str
    origin: str
    parameters: int
    bytes: int
    """Of the weight files."""
    layers: int
    hidden: int
    """Width of the residual stream."""
    vocab: int
    context: int
    """Tokens; `UNBOUNDED` where the configuration states none."""
    dtype: str
    """Of most of the stored numbers: float32, bfloat16, …"""
    path: Path
    licence: str | None = None


def describe(spec: str, *, revision: str | None = None) -> ModelFacts:
    """The facts of a path, an alias or a hub id; with an adapter's folder those of its base and adapter together.

    Raises:
        RefusedError: as `place`, and for torn or missing files.
    """
    return facts_of(place(spec, revision=revision))


def facts_of(where: Place) -> ModelFacts:
    """The facts of a folder."""
    if (where.path / "adapter_config.json").is_file() and not (where.path / "config.json").is_file():
        return _facts_of_adapter(where)
    config = text_config(read_json(where.path / "config.json"))
    files = weight_files(where.path)
    headers = [header(file) for file in files]
    dtypes = Counter(dtype for found in headers for dtype in found.dtypes.values())
    return ModelFacts(
        name=where.name,
        origin=where.origin,
        parameters=sum(found.parameters for found in headers),
        bytes=sum(file.stat().st_size for file in files),
        layers=_first(config, "num_hidden_layers", "n_layer"),
        hidden=_first(config, "hidden_size", "n_embd", "d_model"),
        vocab=_first(config, "vocab_size"),
        context=context_of(config),
        dtype=BITS.get(dtypes.most_common(1)[0][0] if dtypes else "", "other"),
        path=where.path,
        licence=where.licence,
    )


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part that describes the language model, in configurations that describe more."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def context_of(config: dict[str, Any]) -> int:
    """Positions that a configuration allows: tokens."""
    return _first(config, "max_position_embeddings", "n_positions", "max_seq_len", "seq_length") or UNBOUNDED


def _facts_of_adapter(where: Place) -> ModelFacts:
    from dataclasses import replace

    base = describe(str(read_json(where.path / "adapter_config.json").get("base_model_name_or_path") or ""))
    added = header(weight_files(where.path, single="adapter_model.safetensors", index=None)[0])
    return replace(
        base,
        name=where.name,
        origin=f"{where.origin} on {base.origin}",
        parameters=base.parameters + added.parameters,
        path=where.path,
    )


def _first(config: dict[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := config.get(name), int)), 0)
