"""A model of known arithmetic, trained by one process or by two; importable by name, as a spawned process demands."""

import os
import pickle
import socket
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

from springback.fit.loop import Fit, NonFiniteError, Summed, fit
from springback.fit.masters import MasterAdamW
from springback.fit.shards import ShardedAdamW
from springback.fit.spread import same, share, spread
from springback.models.rows import Row
from springback.models.score import token_logprobs
from springback.models.tiny import tiny
from springback.parallel.group import joined
from springback.parallel.world import World
from springback.train.recipe import SFT
from springback.train.sft import summed, tune


class Experts(nn.Module):
    """Row i is read by expert i mod 2, so with two processes each expert has the rows of one; a third has none."""

    def __init__(self, dtype):
        super().__init__()
        start = torch.Generator().manual_seed(0)
        self.shared = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Linear(3, 1) for _ in range(3))
        for weight in self.parameters():
            weight.data = torch.randn(weight.shape, generator=start, dtype=torch.float64).to(dtype)


def rows(count: int = 12) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    """Each row has as many tokens as it likes: 1 to 5."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 6, (count,), generator=draw).tolist()
    return [
        (index % 2, *torch.randn(length, 5, generator=draw, dtype=torch.float64).split([4, 1], dim=1))
        for index, length in enumerate(lengths)
    ]


def loss(network: Experts, batch) -> Summed:
    kind = network.shared.weight.dtype
    parts = [
        (network.experts[expert](network.shared(x.to(kind))) - y.to(kind)).square().sum() for expert, x, y in batch
    ]
    tokens = sum(len(x) for _, x, _ in batch)
    return Summed(torch.stack(parts).sum().double(), tokens, tokens)


def trained(group=None, *, dtype=torch.float64, accumulate: int = 1, data=None) -> dict:
    """Masters after three steps of four rows, what each step said, and the state of the expert that nobody uses."""
    network = Experts(dtype)
    update = MasterAdamW(network)
    of = loss if group is None else share(loss, group)
    if group is not None:
        spread(update, group)
    data = data or rows()
    size = 4 // accumulate
    batches = [data[first : first + size] for first in range(0, len(data), size)]
    config = Fit(lr=0.05, accumulate=accumulate, clip=1.0)
    steps = [
        (s.loss, s.gradient_norm, s.tokens) for s in fit(lambda batch: of(network, batch), batches, update, config)
    ]
    if group is not None:
        same(update, group)
    masters = {name: tensor for name, tensor in update.state().items() if name.startswith("master/")}
    return {"masters": masters, "steps": steps, "unused": [int(slot.steps) for slot in update.slots[-2:]]}


def spoiled(group) -> str:
    """Only the second process has the row that is no number."""
    data = rows()
    data[1] = (1, data[1][1] * torch.nan, data[1][2])
    try:
        trained(group, data=data)
    except NonFiniteError as error:
        return f"step {error.index}"
    return "nothing was said"


def apart(group) -> str:
    update = MasterAdamW(Experts(torch.float64))
    if group.world.rank == 1:
        update.slots[2].master.data[0, 0] += 1e-12
    return said(lambda: same(update, group))


def too_few(group) -> str:
    return said(lambda: share(loss, group)(Experts(torch.float64), rows(1)))


def language(group=None, dtype=torch.float32) -> dict:
    """The tiny model after three steps, sharded over the group, and what it then thinks of a row; reset, once more."""
    network = tiny(dtype=torch.float32).network.requires_grad_(True)
    whole = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    network.to(dtype)
    update = MasterAdamW(network, whole if dtype == torch.bfloat16 else None)
    of = summed
    if group is not None:
        update, of = ShardedAdamW(update, network, group), share(summed, group)
    start = update.state(moments=False)
    start = {name: master.clone() for name, master in start.items()}
    before = thinks(network)
    steps = [(s.loss, s.gradient_norm, s.tokens) for s in tune(network, update, texts(), SFT(batch=4), loss=of)]
    masters = {name: master.clone() for name, master in update.state(moments=False).items()}
    after, held = thinks(network), sum(slot.master.numel() for slot in update.slots)
    update.load(start)
    return {"start": start, "steps": steps, "masters": masters, "before": before, "after": after,
            "again": thinks(network), "held": held, "all": sum(map(torch.numel, start.values()))}  # fmt: skip


def thinks(network) -> torch.Tensor:
    return torch.cat(token_logprobs(network, texts()[:2]))


def texts() -> list[Row]:
    """Twelve rows with answers of one to five tokens."""
    draw = torch.Generator().manual_seed(2)
    numbers = torch.randint(1, 50, (12, 8), generator=draw).tolist()
    return [Row(tuple(row[:3]), tuple(row[3 : 4 + index % 5]), 1, 0) for index, row in enumerate(numbers)]


def said(do) -> str:
    try:
        do()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return "nothing was said"


def everything(group) -> dict:
    return {
        "plain": trained(group),
        "accumulated": trained(group, accumulate=2),
        "rounded": trained(group, dtype=torch.bfloat16),
        "spoiled": spoiled(group),
        "apart": apart(group),
        "too few": too_few(group),
        "sharded": {kind: language(group, getattr(torch, kind)) for kind in ("float32", "bfloat16")},
    }


def member(world: World, port: int, into: str) -> None:
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": world.size, "RANK": world.rank}
    os.environ.update({name: str(value) for name, value in names.items()})
    with joined(world, accelerator=False) as group:
        found = everything(group)
    Path(into).write_bytes(pickle.dumps(found))


def both(folder: Path, size: int = 2) -> list[dict]:
    """What every one of two processes found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [folder / f"{rank}.pickle" for rank in range(size)]
    context = get_context("spawn")
    members = [
        context.Process(target=member, args=(World(size, rank), port, str(file))) for rank, file in enumerate(files)
    ]
    for process in members:
        process.start()
    for process in members:
        process.join(100)
    return [pickle.loads(file.read_bytes()) for file in files]
