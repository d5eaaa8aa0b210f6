"""One adapter of a stack as a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`."""

import os
from pathlib import Path

import safetensors.torch

from springback.errors import RefusedError
from springback.models.adapter_folder import WEIGHTS
from springback.models.stacked_adapters import Stack


def save_adapter(stack: Stack, index: int, folder: Path, *, base: str | None = None) -> None:
    """Write one adapter, in float32 (float64 factors are rounded); `base`: path or hub id of the network it is for.

    PEFT's `PeftModel.from_pretrained(base, folder)` and `springback`'s own loader read it. The folder appears whole or
    not at all; `RefusedError` where there is something of that name.
    """
    if folder.exists():
        raise RefusedError(f"{folder.name} exists already.", kind="output", where=str(folder), next="Name another.")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    tensors = {
        f"base_model.model.{name.replace('.default.', '.')}": factor.detach().float().cpu().contiguous()
        for name, factor in stack.factors(index).items()
    }
    safetensors.torch.save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
    _config(stack, index, base).save_pretrained(str(partial))
    partial.rename(folder)


def _config(stack: Stack, index: int, base: str | None):
    from dataclasses import replace

    options = stack.options[index]
    return replace(
        stack.config, r=options.rank, lora_alpha=options.alpha, base_model_name_or_path=base, inference_mode=True
    )
