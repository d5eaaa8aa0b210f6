"""The processes of a world, joined: orders from the first to the others, sums over all (torch.distributed).

gloo carries what lies in main memory, NCCL what lies on accelerators. A process that dies closes its connections, so
the others end with an error instead of waiting; torchrun then ends what is left.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from springback.errors import RefusedError
from springback.parallel.world import World

PATIENCE = timedelta(days=30)
"""Those who follow wait while the first one reads a model; a lost process is noticed by its connection, not by this."""


LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe")


class GoneError(RuntimeError):
    """Another process of the world has ended in the middle."""


@contextmanager
def all_present() -> Iterator[None]:
    """`GoneError` for what gloo and NCCL raise when a connection closes: a RuntimeError, known by its words alone."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, GoneError) or not any(word in str(error).lower() for word in LOST):
            raise
        raise GoneError(
            "another process of this world is gone; what is stored stays, the same command goes on from there"
        ) from error


@dataclass(frozen=True, slots=True)
class Group:
    """All processes of a world. Every method but `say` and `hear` is called by all of them, in the same order."""

    world: World

    def say(self, order: object) -> None:
        """The first process tells all others."""
        with all_present():
            dist.broadcast_object_list([order], src=0, device=torch.device("cpu"))

    def hear(self) -> Any:
        """What the first process says; waits for it."""
        heard: list[Any] = [None]
        with all_present():
            dist.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        return heard[0]

    def add_(self, tensor: Tensor) -> None:
        """Put the sum over all processes in the place of each one's tensor: the same bits everywhere."""
        carried = tensor if tensor.device.type in ("cpu", "cuda") else tensor.cpu()
        with all_present():
            dist.all_reduce(carried)
        if carried is not tensor:
            tensor.copy_(carried)

    def sums(self, numbers: Sequence[float]) -> list[float]:
        """Sums over all processes, in float64."""
        tensor = torch.tensor(numbers, dtype=torch.float64)
        self.add_(tensor)
        return tensor.tolist()

    def gathered(self, own: object) -> list[Any]:
        """What every process holds, in the order of their ranks."""
        found: list[Any] = [None] * self.world.size
        with all_present():
            dist.all_gather_object(found, own)
        return found

    def differ(self, numbers: Sequence[int]) -> list[int]:
        """Indices of the numbers (64 bits) that are not the same in all processes."""
        most, least = torch.tensor(numbers, dtype=torch.int64), torch.tensor(numbers, dtype=torch.int64)
        with all_present():
            dist.all_reduce(most, op=dist.ReduceOp.MAX)
            dist.all_reduce(least, op=dist.ReduceOp.MIN)
        return (most != least).nonzero().flatten().tolist()


@contextmanager
def joined(world: World, *, accelerator: bool) -> Iterator[Group]:
    """The group, while the context lasts. `accelerator`: each process computes on one of its own."""
    if accelerator:
        _take_accelerator(world)
    dist.init_process_group("cpu:gloo,cuda:nccl" if accelerator else "gloo", timeout=PATIENCE)
    try:
        yield Group(world)
    finally:
        dist.destroy_process_group()


def _take_accelerator(world: World) -> None:
    count = torch.cuda.device_count()
    if count < world.local_size:
        raise RefusedError(
            f"{world.local_size} processes were started on this machine, it has {count} accelerators.",
            kind="option", where="--world", next=f"Start {max(1, count)} processes here, or take --device cpu.",
        )  # fmt: skip
    torch.cuda.set_device(world.local_rank)
