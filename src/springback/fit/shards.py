"""Sharding (FSDP2; Zhao et al., 2023): each process holds a part of every weight, master, moment and gradient.

A block's weights are gathered when it computes and let go after it, so every pass, forward too, is taken by all
processes together. Gradients are summed where their part lies (not averaged, in fp32), the norm over all parts, and
the update is AdamW on the parts: the one of a single process up to the order of summation.

What it does not do: load a model that no process can hold. The parts are cut from whole weights and masters.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from springback.fit.masters import MasterAdamW
from springback.fit.slots import Slot
from springback.models.packing import why_not
from springback.models.readout import backbone, by_forward
from springback.parallel.group import Group


def shard(network: nn.Module, group: Group) -> None:
    """Leave each process its part of the network's weights, in place. All processes call it together."""
    mesh = init_device_mesh(next(network.parameters()).device.type, (group.world.size,))
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for block in (*_blocks(network), network):
        # the outermost one too: kept gathered, it would not see what an update does to its parts
        fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    by_forward(network)
    why_not(network)  # else it is tried when one process's rows ask for it and another's do not


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The decoder's blocks: the longest list of modules in it."""
    lists = [list(module) for module in backbone(network).modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


class ShardedAdamW(MasterAdamW):
    """`MasterAdamW` on the parts of this process. `norm`, `state` and `load` are called by all processes together."""

    def __init__(self, whole: MasterAdamW, network: nn.Module, group: Group) -> None:
        """Takes over from the optimiser of the whole network, which it shards."""
        self.betas, self.eps, self.weight_decay = whole.betas, whole.eps, whole.weight_decay
        self.norms, self.gather, self.group = {}, None, group
        self._scratch = {}
        masters = {slot.name: slot.master for slot in whole.slots if slot.master is not slot.weight}
        shard(network, group)
        self._parts: list[Any] = [network.get_parameter(slot.name) for slot in whole.slots]
        names = [slot.name for slot in whole.slots]
        self.slots = [_slot(name, part, masters.get(name)) for name, part in zip(names, self._parts, strict=True)]

    @torch.no_grad()
    def norm(self) -> float:
        for slot, part in zip(self.slots, self._parts, strict=True):
            mean, part.grad = part.grad, None  # torch divides by the number of processes; gloo knows no other way
            slot.weight.grad = None if mean is None else mean.to_local() * self.group.world.size
        values = self.group.sums([float(self._square(slot)) for slot in self.slots])
        self.norms = {slot.name: math.sqrt(value) for slot, value in zip(self.slots, values, strict=True)}
        return math.sqrt(math.fsum(values)) if all(map(math.isfinite, values)) else math.nan

    def discard(self) -> None:
        super().discard()
        for part in self._parts:
            part.grad = None

    @torch.no_grad()
    def state(self, *, moments: bool = True) -> dict[str, Tensor]:
        """Whole masters, in main memory; moments are not gathered."""
        if moments:
            raise ValueError("The moments of a sharded optimiser are not gathered; chains begin with fresh ones.")
        pairs = zip(self.slots, self._parts, strict=True)
        return {f"master/{slot.name}": _whole(slot.master, part).cpu() for slot, part in pairs}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        if state.keys() != {f"master/{slot.name}" for slot in self.slots}:
            raise ValueError("The state is not one of this network's masters.")
        self.discard()
        self.free_moments()
        for slot, part in zip(self.slots, self._parts, strict=True):
            slot.master.copy_(_part(state[f"master/{slot.name}"], part))
            if slot.master is not slot.weight:
                slot.weight.copy_(slot.master)


@torch.no_grad()
def _slot(name: str, part: Any, master: Tensor | None) -> Slot:
    weight = nn.Parameter(part.to_local().detach())  # the same memory
    own = weight if master is None else _part(master, part).float().clone()
    return Slot(name, weight, own, torch.zeros((), device=weight.device))


def _part(whole: Tensor, like: Any) -> Tensor:
    """What of a whole tensor lies in this process."""
    placed = distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return placed.to_local()


def _whole(part: Tensor, like: Any) -> Tensor:
    placed = DTensor.from_local(part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())
    return placed.full_tensor()
