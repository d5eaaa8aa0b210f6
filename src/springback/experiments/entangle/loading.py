"""Options and sources become a model with pairs as token ids, ready to be differentiated."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from springback.data.choices import Choice
from springback.data.ledger import Ledger
from springback.errors import RefusedError
from springback.experiments.audit.workbench import device_of
from springback.experiments.entangle.config import Entangle
from springback.models.adapters import LoRA, attach
from springback.models.language_model import LanguageModel
from springback.models.load import TINY, load
from springback.models.pair_tokens import tokenised
from springback.models.rows import RowPair


@dataclass(slots=True)
class Loaded:
    """The policy on its device, its moving weights marked, and the reference where it is another model."""

    model: LanguageModel
    pairs: list[RowPair]
    wheres: list[str]
    """`file:line` of each pair."""
    prompts: list[str]
    """The last turn of each pair's prompt."""
    ledger: Ledger
    """What tokenising left out."""
    reference: LanguageModel | None

    @property
    def network(self) -> nn.Module:
        return self.model.network


def loaded(config: Entangle, choices: Sequence[Choice], *, reference: bool) -> Loaded:
    """Load and tokenise; nothing is truncated. `reference`: whether the reference model is still needed."""
    if config.tiny:
        torch.set_num_threads(1)  # a model this small is slower on two threads, many times so on a busy machine
    policy = _load(config, TINY if config.tiny else config.model)
    rows = tokenised(policy, choices, max_length=config.max_length, too_long=config.too_long)
    pairs = [item for item in rows.items if isinstance(item, RowPair)]
    if not pairs:
        raise RefusedError(f"No pair is left: {rows.ledger.sentence()}.", kind="data", where="--max-length",
                           next="Raise --max-length, or bring shorter rows.")  # fmt: skip
    if config.tuner == "lora":
        attach(policy.network, LoRA(rank=config.rank))
    else:
        policy.network.requires_grad_(requires_grad=True)
    policy.network.eval()
    other = _load(config, config.reference) if reference and config.reference else None
    if other is not None and other.tokenizer.get_vocab() != policy.tokenizer.get_vocab():
        raise RefusedError(
            "MODEL and --reference have other tokenizers: their log-probabilities are of other token sequences.",
            kind="model", where=str(other.path), next="Give the very model that MODEL was tuned from.",
        )  # fmt: skip
    kept = [choices[place] for place in rows.kept]
    wheres, prompts = [choice.where for choice in kept], [choice.prompt[-1].content for choice in kept]
    return Loaded(policy, pairs, wheres, prompts, rows.ledger, other)


def _load(config: Entangle, spec: str) -> LanguageModel:
    dtype = torch.float64 if config.dtype == "float64" else torch.float32
    return load(spec, dtype=dtype, device=device_of(config.audit()), trust_remote_code=config.trust_remote_code)
