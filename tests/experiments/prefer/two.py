"""Trainings by two processes at once; importable by name, as a spawned process demands."""

import os
import socket
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tests.experiments.prefer.small import SMALL

from springback.experiments.prefer.config import Prefer, settled
from springback.experiments.prefer.ranks import Conductor, follow
from springback.experiments.prefer.run import run_prefer
from springback.parallel.group import joined
from springback.parallel.world import World

FEW = {**SMALL, "read_pairs": 2, "probes": 0, "steps": 2, "read_every": 8}
RANKED = [{"prompt": f"Is {i}?", "completions": [f"Yes {i}.", "Maybe", f"No, {i}"][: 2 + i % 2]} for i in range(12)]
VARIANTS: dict[str, dict[str, Any]] = {
    "accumulated": {"accumulate": 2, "probes": 2},
    "tokens and statistics": {"loss": "sampo"},
    "statistics over the batch": {"loss": "alpha_dpo"},
    "moving": {"loss": "tr_dpo:every=1,alpha=0.5"},
    "adapter, drawn": {"loss": "d2o", "samples": 2, "tuner": "lora"},
    "a cure that counts, over what a filter leaves": {"cure": "normalised:clamp=1.001", "filter": "ches:share=0.25"},
    "lists": {"loss": "lipo"},
}


def design(name: str, data: Path):
    file = data.with_name("ranked.jsonl") if name == "lists" else data
    return settled(Prefer(**{**FEW, **VARIANTS[name]}), file)


def member(world: World, port: int, data: Path, into: Path) -> None:
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": world.size, "RANK": world.rank}
    os.environ.update({name: str(value) for name, value in names.items()})
    torch.set_num_threads(1)
    with joined(world, accelerator=False) as group:
        if not world.leads:
            follow(group)
            return
        for number, name in enumerate(VARIANTS):
            run_prefer(design(name, data), into / str(number), quiet=True, conductor=Conductor(group))
        group.say(None)


def trained(data: Path, into: Path) -> Mapping[str, Path]:
    """The runs of all variants."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = get_context("spawn")
    members = [context.Process(target=member, args=(World(2, rank), port, data, into)) for rank in range(2)]
    for process in members:
        process.start()
    for process in members:
        process.join(200)
    return {name: into / str(number) for number, name in enumerate(VARIANTS)}
