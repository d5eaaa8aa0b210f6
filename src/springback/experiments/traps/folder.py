"""Traps of a model's folder."""

from typing import Final

import torch

from springback.experiments.traps.check import Found
from springback.models.language_model import LanguageModel
from springback.models.rope import require_same_rope, stated_thetas
from springback.models.weights import read_json

NOT_SAMPLING: Final = ("_from_model_config", "transformers_version", "use_cache")


def complete_weights(model: LanguageModel) -> Found:
    """A tensor that is missing in the folder would be drawn at random; `load` refuses that."""
    if model.path is None:
        return Found("skip", "this model was made in memory")
    return Found("pass", f"all {len(model.network.state_dict())} tensors were found in the folder")


def finite_weights(model: LanguageModel) -> Found:
    """One NaN in a checkpoint is enough."""
    bad = [name for name, tensor in model.network.named_parameters() if not torch.isfinite(tensor).all()]
    return Found("fail", f"{bad[0]} is not finite") if bad else Found("pass", "every weight is finite")


def rope(model: LanguageModel) -> Found:
    """The rotary base of the folder and the one in use: some loaders silently take their default."""
    if model.path is None or not (model.path / "config.json").is_file():
        return Found("skip", "there is no config.json to compare with")
    config = read_json(model.path / "config.json")
    if not (stated := stated_thetas(config)):
        return Found("skip", "the folder states no rotary base")
    require_same_rope(config, model.network)
    return Found("pass", f"rope_theta {', '.join(f'{theta:g}' for theta in sorted(stated))} is what the network uses")


def generation_defaults(model: LanguageModel) -> Found:
    """Settings that a folder brings for sampling would change every sample; our sampler does not read them."""
    file = model.path / "generation_config.json" if model.path else None
    said = read_json(file) if file and file.is_file() else {}
    keys = sorted(key for key in said if not key.endswith("token_id") and key not in NOT_SAMPLING)
    return Found("pass", f"brought and not used: {', '.join(keys)}" if keys else "the folder brings none")
