"""A causal language model together with all that must be known to quote a number measured on it."""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """What `load` and `tiny` give: the network in evaluation mode, frozen, and where it came from."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    """What pages call it."""
    origin: str
    """What it is: a folder, a repository with its revision, "… dequantised from q4_1", "random weights"."""
    weights_sha256: str
    """Of the safetensors files' bytes in the order of their names (with an adapter: base first)."""
    template_sha256: str
    """Of the chat template's text."""
    licence: str | None
    """As its folder states it; None where it does not."""
    context: int
    """Positions it can take: tokens."""
    template: str
    """The chat template in use; `templates.PLAIN` for a model that brings none."""
    path: Path | None = None
    """The folder that was read; None for a model made in memory."""
    notes: tuple[str, ...] = ()
    """What a page must say beside its numbers."""
