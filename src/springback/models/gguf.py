"""A GGUF file becomes a plain Hugging Face folder in float32, once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from springback.models.progress import quiet_bars

WEIGHTS: Final = "model.safetensors"
NOT_KEPT: Final = ("quantization_config", "_name_or_path", "_model_name_or_path")
METADATA: Final = {"format": "pt"}


def dequantise(gguf: Path, folder: Path) -> None:
    """Write `config.json`, the float32 weights and the tokenizer of `gguf` into `folder`.

    The network that transformers makes of a GGUF file counts as quantised and refuses to be cast, so only its numbers
    are taken: the state dict without tied copies, and the configuration without `quantization_config`.
    """
    with quiet_bars():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        network = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    _split_digits(tokenizer, gguf)
    config = network.config.to_dict() | {"architectures": [type(network).__name__]}
    tokenizer.model_max_length = config["max_position_embeddings"]
    write_folder(folder, config, untied_state(network), tokenizer)


def _split_digits(tokenizer: PreTrainedTokenizerBase, gguf: Path) -> None:
    """The converter of transformers forgets that SmolLM reads every digit by itself (`tokenizer.ggml.pre`)."""
    kind = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if kind is not None and kind.contents() == "smollm":
        backend: Any = getattr(tokenizer, "backend_tokenizer")  # noqa: B009  not in the base class's types
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])


def untied_state(network: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The state dict with each storage once, under its first name: safetensors holds no shared tensors."""
    once: dict[int, str] = {}
    state = network.state_dict()
    for name, tensor in state.items():
        once.setdefault(tensor.data_ptr(), name)
    return {name: state[name] for name in once.values()}


def write_folder(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, torch.Tensor], tokenizer: PreTrainedTokenizerBase
) -> None:
    """A folder that transformers 4 and 5 read alike: `rope_theta` in both places, a tokenizer class both know."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in config.items() if key not in NOT_KEPT}
    rope = plain.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        plain["rope_theta"] = rope["rope_theta"]
    _write_json(folder / "config.json", plain | {"dtype": "float32", "torch_dtype": "float32"})
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / WEIGHTS, metadata=METADATA)
    tokenizer.save_pretrained(folder)
    said = folder / "tokenizer_config.json"
    _write_json(said, json.loads(said.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"})


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
