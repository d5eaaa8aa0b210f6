"""A PEFT adapter's folder, added into its base in memory. Needs the extra `peft`."""

from pathlib import Path
from typing import Any, Final

from transformers import PreTrainedModel

from springback.errors import RefusedError
from springback.models.weights import files_sha256, header, weight_files

WEIGHTS: Final = "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter and no whole model."""
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def merged(network: PreTrainedModel, folder: Path) -> tuple[PreTrainedModel, str]:
    """The base with the adapter added into its weights, and the SHA-256 of the adapter's file.

    Every tensor of the file must have found its place: an adapter that fits nowhere would change nothing, silently.

    Raises:
        RefusedError: the extra is not installed, the file is pickled, torn, or made for another base.
    """
    file = weight_files(folder, single=WEIGHTS, index=None)[0]
    stored = set(header(file).shapes)
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise RefusedError(
            "This folder is a PEFT adapter, and peft is not installed.",
            kind="option",
            where=str(folder),
            next="pip install 'springback[peft]'",
        ) from error
    try:
        wrapped: Any = PeftModel.from_pretrained(network, str(folder), is_trainable=False)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise _another_base(folder, str(error).splitlines()[0][:300]) from error
    if strange := stored ^ set(get_peft_model_state_dict(wrapped)):
        raise _another_base(folder, f"{len(strange)} tensors do not fit, {min(strange)} first")
    return wrapped.merge_and_unload(), files_sha256([file])


def _another_base(folder: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The adapter {folder.name} does not fit its base: {why}.",
        kind="model",
        where=str(folder),
        next="Check base_model_name_or_path in adapter_config.json.",
    )
