"""The weights under training, the start beside them, and how both are kept, taken up again and written out."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from springback.experiments.rlhf.config import Design
from springback.fit.checkpoint import Checkpoint, load, remove, save
from springback.fit.masters import MasterAdamW
from springback.models import load as models
from springback.models.adapters import LoRA, attach, start_view
from springback.models.gguf import write_folder
from springback.models.language_model import LanguageModel
from springback.models.readout import text_config
from springback.models.reward_folder import whole_state
from springback.models.saved_folder import save_model
from springback.train.policy.updates import Learner
from springback.train.policy.value_head import ValueHead, WithValues

ADAPTER_SEED = 0
"""Of an adapter's first values."""


@dataclass(slots=True)
class Policy:
    """One network that learns, and its start."""

    model: LanguageModel
    """Tokenizer, template and facts; its network is the one that learns."""
    network: nn.Module
    start_network: nn.Module | None
    """The start's own copy; None where it is `network` with its adapter off."""
    optimizer: MasterAdamW
    learner: Learner
    folder: Path
    """Where the checkpoint lies."""

    @contextmanager
    def start(self) -> Iterator[nn.Module]:
        """The start, while the context lasts."""
        if self.start_network is not None:
            yield self.start_network
            return
        with start_view(self.network) as network:
            yield network

    def keep(self, steps: int, beta: float) -> None:
        """Save the state after so many steps, durable on return, in the place of the one before."""
        save(self.folder, self._trained().state(), {"steps": steps, "beta": beta})

    def take_up(self) -> tuple[int, float | None]:
        """Steps that lie behind and the coefficient then; (0, None) where no whole state is kept: from the start."""
        found = load(self.folder)
        if not isinstance(found, Checkpoint):
            return 0, None
        self._trained().load(found.tensors)
        return int(found.facts["steps"]), float(found.facts["beta"])

    def release(self) -> None:
        """Delete the checkpoint."""
        remove(self.folder.parent)

    def write(self, folder: Path) -> None:
        """The model in Hugging Face format, with tokenizer and template.

        Full tuning: in the type that was computed in, so what was measured is what is saved. LoRA: the adapter merged
        into float32 weights.
        """
        model = self.model
        if not model.tokenizer.chat_template:
            model.tokenizer.chat_template = model.template
        if self.start_network is not None:
            save_model(model, folder)
            return
        state = whole_state(self.network, {})
        for name in _copies(self.network):
            state.pop(name.replace(".base_layer.", "."), None)
        config = model.network.config.to_dict() | {"architectures": [type(model.network).__name__]}
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_folder(partial, config, state, model.tokenizer)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)

    def _trained(self) -> MasterAdamW | WithValues:
        found = self.learner.optimizer
        assert isinstance(found, MasterAdamW | WithValues)
        return found


def policy(design: Design, folder: Path, *, values: bool) -> Policy:
    """Load the model and make it trainable. `values`: the method needs a value head."""
    device, dtype = device_of(design), dtype_of(design)
    if design.tiny:
        torch.set_num_threads(1)  # a model this small is slower on two threads
    spec = models.TINY if design.tiny else design.model
    full = design.tuner == "full"
    loaded = models.load(
        spec, dtype=torch.float32 if full else dtype, device="cpu" if full else device,
        trust_remote_code=design.trust_remote_code,
    )  # fmt: skip
    start, optimizer = _full(loaded, device, dtype) if full else _adapter(loaded, design.rank)
    network = loaded.network
    head = ValueHead(text_config(network).hidden_size).to(next(network.parameters()).device) if values else None
    trained = optimizer if head is None else WithValues(optimizer, head, rate=design.value_rate)
    return Policy(loaded, network, start, optimizer, Learner(network, trained, head), folder)


def device_of(design: Design) -> str:
    """The device that `auto` means here."""
    if design.device != "auto":
        return design.device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def dtype_of(design: Design) -> torch.dtype:
    """The compute type that `auto` means here."""
    return torch.bfloat16 if design.dtype == "auto" else getattr(torch, design.dtype)


def _full(loaded: LanguageModel, device: str, dtype: torch.dtype) -> tuple[nn.Module, MasterAdamW]:
    network = loaded.network
    masters = {name: tensor.detach() for name, tensor in network.state_dict(keep_vars=True).items()}
    network.to(device, dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]
    start = copy.deepcopy(network)
    network.requires_grad_(True)  # noqa: FBT003
    return start, MasterAdamW(network, masters if dtype == torch.bfloat16 else None)


def _adapter(loaded: LanguageModel, rank: int) -> tuple[None, MasterAdamW]:
    attach(loaded.network, LoRA(rank=rank, seed=ADAPTER_SEED))
    return None, MasterAdamW(loaded.network)


def _copies(network: nn.Module) -> list[str]:
    """Names under which a tensor stands a second time: safetensors holds each once."""
    first: dict[int, str] = {}
    return [name for name, tensor in network.state_dict().items() if first.setdefault(tensor.data_ptr(), name) != name]
