"""A trained network as a folder that transformers, PEFT and `models.load` read: safetensors, tokenizer, template."""

import json
import os
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import nn

from springback.errors import RefusedError
from springback.models.adapter_folder import WEIGHTS
from springback.models.language_model import LanguageModel
from springback.models.progress import quiet_bars

FAST: Final = "PreTrainedTokenizerFast"
OLDER_UNKNOWN: Final = ("TokenizersBackend",)
"""Tokenizer classes that transformers 4 does not know; it reads the same file as `FAST`."""


def save_model(model: LanguageModel, folder: Path) -> None:
    """Write the network with all its weights in the type it computes in, so that what was measured is what is saved.

    The folder appears whole or not at all; one that is there already is replaced.
    """
    partial = _partial(folder)
    with quiet_bars():
        model.network.save_pretrained(str(partial))
    _tokenizer(model, partial)
    config = partial / "config.json"
    said = _read(config)
    rope = said.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:  # transformers 4 looks for it outside
        said["rope_theta"] = rope["rope_theta"]
    _write(config, said | {"torch_dtype": said.get("dtype")})
    _into_place(partial, folder)


def save_adapter(model: LanguageModel, folder: Path, *, base: str) -> None:
    """Write the adapter that `models.adapters.attach` put into the network. `base`: path or hub id of what is below it.

    RefusedError where the network carries none.
    """
    config: Any = getattr(model.network, "peft_config", {}).get("default")
    if config is None:
        raise RefusedError("The network carries no adapter.", kind="model", next="Save it as a whole model.")
    partial = _partial(folder)
    from dataclasses import replace

    replace(config, base_model_name_or_path=base, inference_mode=True).save_pretrained(str(partial))
    said = _read(partial / "adapter_config.json")
    _write(partial / "adapter_config.json", said | {"target_modules": sorted(said["target_modules"])})
    safetensors.torch.save_file(_factors(model.network), partial / WEIGHTS, metadata={"format": "pt"})
    _tokenizer(model, partial)
    _into_place(partial, folder)


def _factors(network: nn.Module) -> dict[str, Any]:
    return {
        f"base_model.model.{name.replace('.default.', '.')}": factor.detach().float().cpu().contiguous()
        for name, factor in network.named_parameters()
        if ".lora_" in name
    }


def _tokenizer(model: LanguageModel, folder: Path) -> None:
    model.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    said = _read(path)
    if said.get("tokenizer_class") in OLDER_UNKNOWN:
        _write(path, said | {"tokenizer_class": FAST})


def _partial(folder: Path) -> Path:
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    _remove(partial)
    partial.mkdir(parents=True)
    return partial


def _into_place(partial: Path, folder: Path) -> None:
    mode = (partial / "tokenizer_config.json").stat().st_mode
    for file in partial.iterdir():
        file.chmod(mode)  # safetensors writes files that only this user may read
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    old = folder.with_name(f".{folder.name}.old")
    _remove(old)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    _remove(old)


def _remove(folder: Path) -> None:
    from shutil import rmtree

    rmtree(folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
