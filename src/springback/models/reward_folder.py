"""A reward model on the disk, in Hugging Face's format: `AutoModelForSequenceClassification` reads it as it is.

Weights are float32, whatever was computed in; an adapter is merged into them. `config.json` has one label and a padding
token that no conversation holds; the chat template ends with the stop (`models/reward_texts.py`).
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from springback.errors import RefusedError
from springback.models import load as models
from springback.models import templates, weights
from springback.models.facts import context_of, text_config
from springback.models.gguf import write_folder
from springback.models.language_model import LanguageModel
from springback.models.place import TINY, place
from springback.models.progress import quiet_bars
from springback.models.reward_head import head_of
from springback.models.reward_model import RewardModel, frozen, reward_model
from springback.models.reward_texts import ending_template
from springback.models.rope import require_same_rope
from springback.models.sound import checked_sha256, require_decoder, require_room_for

KIND = "ForSequenceClassification"


def save(model: RewardModel, folder: Path, masters: Mapping[str, Tensor] | None = None) -> tuple[str, ...]:
    """Write the folder whole, in the place of what was there; returns what a reader must be told of it.

    `masters`: the trained weights before rounding, by name.
    """
    template, note = ending_template(model.language)
    model.language.tokenizer.chat_template = template
    config = model.network.config.to_dict() | {"architectures": [type(model.network).__name__], "num_labels": 1}
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_folder(partial, config, whole_state(model.network, masters or {}), model.language.tokenizer)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return (note,) if note else ()


@torch.no_grad()
def whole_state(network: nn.Module, masters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every weight in float32 on the CPU under its name in the plain architecture, adapters added into theirs."""
    found = {}
    added = {f"{name}.weight": layer for name, layer in network.named_modules() if "base_layer" in layer._modules}
    for name, tensor in network.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        value = masters.get(name, tensor).float().cpu()
        found[plain] = value + _delta(added[plain]) if plain in added else value
    return found


def is_reward_folder(folder: Path) -> bool:
    """Whether `config.json` there is a classifier's."""
    file = folder / "config.json"
    said = weights.read_json(file).get("architectures") if file.is_file() else None
    return isinstance(said, list) and any(str(one).endswith(KIND) for one in said)


def load(spec: str, *, dtype: torch.dtype, device: str = "cpu", trust_remote_code: bool = False) -> RewardModel:
    """The reward model that `spec` names: a folder or a repository in Hugging Face's format, with one label.

    Raises:
        RefusedError: no classifier, several labels, weights that are missing and would be random (the head of a plain
            language model is), and whatever `models.load` refuses.
    """
    if spec == TINY:
        raise _refused(spec, "the tiny model is a language model")
    where = place(spec, code=trust_remote_code)
    config = weights.read_json(where.path / "config.json")
    require_decoder(where.path, config, trust_remote_code=trust_remote_code)
    if not is_reward_folder(where.path):
        raise _refused(str(where.path), f"{where.name} is no classifier ({config.get('architectures')})")
    files = weights.weight_files(where.path)
    for file in files:
        weights.header(file)
    network = _network(where.path, dtype, trust_remote_code=trust_remote_code)
    require_same_rope(config, network)
    tokenizer = models._tokenizer(where.path, trust_remote_code=trust_remote_code)  # pyright: ignore[reportPrivateUsage]
    require_room_for(tokenizer, network)
    template, said = models._template(tokenizer)  # pyright: ignore[reportPrivateUsage]
    language = LanguageModel(
        network=network.to(device), tokenizer=tokenizer, name=where.name, origin=where.origin,
        weights_sha256=checked_sha256(where, files), template_sha256=templates.text_sha256(template),
        licence=where.licence, path=where.path, template=template, context=context_of(text_config(config)), notes=said,
    )  # fmt: skip
    return frozen(reward_model(language, head_of(network)[1]))


def _network(folder: Path, dtype: torch.dtype, *, trust_remote_code: bool) -> Any:
    try:
        with quiet_bars():
            network, found = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True,
                trust_remote_code=trust_remote_code,
            )  # fmt: skip
    except (ValueError, RuntimeError, OSError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _refused(str(folder), f"transformers cannot load it: {str(error).splitlines()[0][:300]}") from error
    if missing := sorted(found["missing_keys"]):
        raise _refused(str(folder), f"weights are missing and would be random: {', '.join(missing[:3])}")
    if network.config.num_labels != 1:
        raise _refused(str(folder), f"it has {network.config.num_labels} labels; a reward is one number")
    return network


def _delta(layer: Any) -> Tensor:
    """What the adapter adds to a layer's weight."""
    return sum((layer.get_delta_weight(name).float().cpu() for name in layer.active_adapters), torch.zeros(()))


def _refused(where: str, why: str) -> RefusedError:
    return RefusedError(
        f"This is no reward model: {why}.", kind="model", where=where,
        next="Train one with `springback reward DATA`, or name a folder of AutoModelForSequenceClassification.",
    )  # fmt: skip
