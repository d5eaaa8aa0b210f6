"""A causal language model becomes a reward model: its own head is left out, a scalar one is put on its decoder."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, PreTrainedModel

from springback.errors import RefusedError
from springback.models.language_model import LanguageModel
from springback.models.reward_model import RewardModel, frozen, reward_model
from springback.models.reward_texts import with_padding
from springback.tensors.seed import seeded


def reward_of(model: LanguageModel, *, seed: int) -> RewardModel:
    """The reward model of a causal language model, which is taken over and of no use afterwards.

    The head is drawn from N(0, 1/(d + 1)) (Stiennon et al., 2020, App. B.1). `RefusedError` where transformers has no
    classifier of this architecture, or one that is more than decoder and linear head.
    """
    decoder = model.network.base_model
    network = _classifier(model.network, decoder)
    place, found = head_of(network)
    with seeded(seed):
        head = nn.Linear(found.in_features, 1, bias=False)
        nn.init.normal_(head.weight, std=(found.in_features + 1) ** -0.5)
    network.set_submodule(place, head)
    told = replace(model, network=network, tokenizer=copy.deepcopy(model.tokenizer))
    return frozen(reward_model(with_padding(told), head))


def head_of(network: PreTrainedModel) -> tuple[str, nn.Linear]:
    """Name and module of the scalar head; `RefusedError` where there is more beside the decoder, or another shape."""
    inside = {id(parameter) for parameter in network.base_model.parameters()}
    rest = [name for name, parameter in network.named_parameters() if id(parameter) not in inside]
    place = rest[0].rpartition(".")[0] if rest else ""
    head = network.get_submodule(place)
    if len(rest) != 1 or not isinstance(head, nn.Linear) or head.out_features != 1:
        raise _unfit(network, f"{type(network).__name__} is not a decoder with one linear score ({', '.join(rest)})")
    return place, head


def _classifier(network: PreTrainedModel, decoder: nn.Module) -> PreTrainedModel:
    """The classifier's shell without weights, around the decoder that is there."""
    kind: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(network.config), None)
    if kind is None or decoder is network:
        raise _unfit(network, "transformers has no AutoModelForSequenceClassification of it")
    config = network.config
    config.num_labels, config.problem_type = 1, None
    with torch.device("meta"):
        made = kind(copy.deepcopy(config))
    if type(made.base_model) is not type(decoder):
        raise _unfit(network, f"its classifier is built on {type(made.base_model).__name__}")
    setattr(made, made.base_model_prefix, decoder)
    made.config = config
    return made


def _unfit(network: PreTrainedModel, why: str) -> RefusedError:
    return RefusedError(
        f"No reward model can be made of {type(network).__name__}: {why}.",
        kind="model", where="--model", next="Name a decoder whose architecture has a sequence classifier (Llama, "
        "Qwen, Mistral, Gemma, GPT-2 and most others have one).",
    )  # fmt: skip
