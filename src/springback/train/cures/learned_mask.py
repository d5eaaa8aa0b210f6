"""Sparse token masks that are learned (Yuan et al., 2024, section 5.2, outlined there; SparsePO, Christopoulou et al.,
2024, works one out): m_t = σ(⟨w, h_t⟩/√width + b) from the policy's last hidden state before each answer token.

    ℓ' = ℓ(Σ m_t log π_t, Σ m_t log π_ref,t) + penalty · mean_t m_t,        over the tokens of both answers

The states are taken without gradient, so the network learns nothing from the mask's own parameters; those follow their
own Adam. b begins at 2: nearly every token counts. Ours in detail (the paper gives no formula); costs one more forward
pass. It does not guarantee that entangled tokens are the ones that are dropped: the record of a step says how many are.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from springback import papers
from springback.fit.loop import Optimizer
from springback.models.groups import grouped
from springback.models.readout import quiet, read, route, text_config
from springback.models.rows import RowPair
from springback.train.cures.masked import under
from springback.train.preference_step import Batch, PairedLoss, Read, Taken, Uncured

OPEN = 2.0
"""b before the first step."""


@dataclass(frozen=True, slots=True)
class LearnedMask:
    """Learns which tokens to push."""

    paper: ClassVar = papers.SPARSE_PO
    sums_only: ClassVar = False

    penalty: float = 0.1
    """Of the mean mask, in the loss's unit: larger is sparser."""
    lr: float = 1e-2
    """Adam's learning rate for the mask's own width + 1 parameters."""

    def __post_init__(self) -> None:
        if not 0 <= self.penalty < math.inf or not 0 < self.lr < math.inf:
            raise ValueError(f"penalty ≥ 0 and lr > 0 must hold, got {self.penalty} and {self.lr}")

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del optimizer
        if route(network) != "head":
            raise ValueError("this network's hidden states before its head are not at hand: it caps or scales logits")
        return Learning(self, network)


class Learning(Uncured):
    """A mask while it is learned."""

    needs = frozenset({"lengths", "tokens"})

    def __init__(self, options: LearnedMask, network: nn.Module) -> None:
        self.penalty = options.penalty
        weight = next(network.parameters())
        made = torch.zeros(text_config(network).hidden_size + 1, device=weight.device, dtype=torch.float32)
        made[-1] = OPEN
        self.parameters = made.requires_grad_()
        self.adam = torch.optim.Adam([self.parameters], lr=options.lr)
        self.open: list[float] = []

    def __call__(self, network: nn.Module, batch: Batch, loss: PairedLoss, reference: Any, read: Read) -> Taken:
        policy: Any = read(network, batch.items)
        masks = self._masks(network, batch)
        flat = torch.cat(masks)
        pairs = list(zip(masks[0::2], masks[1::2], strict=True))
        given = None if reference is None else under(reference, pairs)
        each = torch.stack([torch.cat(pair).mean() for pair in pairs])
        self.open.append(float(flat.detach().mean()))
        return Taken((loss(under(policy, pairs), given) + self.penalty * each).sum(), policy)

    def advance(self) -> None:
        self.adam.step()
        self.adam.zero_grad()
        self.open.clear()

    def tensors(self) -> dict[str, Tensor]:
        state = self.adam.state.get(self.parameters, {})
        return {"parameters": self.parameters.detach(), **dict(state)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.parameters.copy_(tensors["parameters"])
        state = {name: tensors[name].to(self.parameters) for name in tensors if name != "parameters"}
        if state:
            self.adam.state[self.parameters] = state

    def told(self) -> dict[str, Any]:
        """Mean mask over the step's tokens."""
        return {"pushed": sum(self.open) / max(1, len(self.open))}

    def _masks(self, network: nn.Module, batch: Batch) -> list[Tensor]:
        """Of each answer, chosen, rejected, chosen, rejected …"""
        pairs = [item for item in batch.items if isinstance(item, RowPair)]
        inputs = grouped(network, [(pair.chosen, pair.rejected) for pair in pairs])
        with quiet(network):
            states = read_states(network, inputs).float()
        scores = states @ self.parameters[:-1] / math.sqrt(states.shape[1]) + self.parameters[-1]
        return list(scores.sigmoid().split([len(row.answer) for pair in pairs for row in (pair.chosen, pair.rejected)]))


def read_states(network: nn.Module, inputs: Any) -> Tensor:
    """The last hidden states before each answer token, answer by answer."""
    return read(network, inputs.arguments, inputs.wanted).states
