"""A small grid end to end: one process of nested chains against a shell loop over `transformers.Trainer`.

    python bench/trainer_loop.py [--align 40,80,200,400] [--reverse 4,8,20,40,80] [--model tiny|ALIAS|DIRECTORY]

Both begin from the same model folder in float32, train on the same rows in the same order by AdamW with the same
settings, and read γ of held-out answers and KL(start‖θ) along them at every cell. The loop (`bench/trainer_cell.py`)
is one process a cell: import, load, align, save, load, reverse, read both models. Ours (`bench/trainer_chains.py`) is
one process: the walk of an audit through the main arm of its grid, checkpoints and records durable, the start's logits
computed once; it also reads the start and the cells that were not reversed. Compared: the loss of every step, γ and KL
of every cell. Prints one JSON object; exit 1 where one differs by more than its bound. `start_up` is interpreter and
imports, `load` the models that are read (the loop's training loads its own), `end` what follows the last part.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from springback.models.load import load
from springback.models.tiny import save_folder
from springback.train.sft import SFT

BOUND = {"loss": 1e-4, "gamma": 1e-4, "kl": 1e-4}
"""Largest difference: nats a token, bit/bit, bits a token. Both sum in another order, and AdamW carries that on."""
GOAL = 8


def write(folder: Path, asked: argparse.Namespace) -> None:
    """The model and the rows that both sides read: prompts of 25 random tokens, answers of 16 to 30."""
    model = load(asked.model, dtype=torch.float32)
    if model.path is None:
        save_folder(model, folder / "model")
    else:
        (folder / "model").symlink_to(model.path.absolute())
    vocab, draw = model.network.config.get_text_config().vocab_size, torch.Generator().manual_seed(0)

    def row() -> dict[str, Any]:
        length = int(torch.randint(16, 31, (1,), generator=draw))
        ids = torch.randint(3, vocab, (25 + length,), generator=draw).tolist()
        return {"prompt": ids[:25], "answer": ids[25:], "bytes": length - 1}

    counts = {"align": asked.align[-1], "reverse": asked.reverse[-1], "held_out": asked.held_out}
    rows = {part: [row() for _ in range(count)] for part, count in counts.items()}
    settings = asdict(SFT(lr=asked.learning_rate, batch=asked.batch))
    sizes = {"align_sizes": asked.align, "reverse_sizes": asked.reverse}
    (folder / "rows.json").write_text(json.dumps(rows | settings | sizes))


def process(*command: str) -> dict[str, Any]:
    """Run a script; what its last line says, with the wall and CPU seconds of the whole process."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"wall_seconds": wall, "cpu_seconds": cpu}


def differences(ours: dict[str, Any], cells: Mapping[tuple[int, int], dict[str, Any]]) -> dict[str, float]:
    """The largest of each kind, over all steps and cells; ∞ where the number of steps differs."""
    worst = dict.fromkeys(BOUND, 0.0)
    for (aligned, reversed_), cell in cells.items():
        batch = len(cell["losses"]) / (aligned + reversed_)
        losses = ours["losses"]["start"][: round(aligned * batch)]
        losses = losses + ours["losses"][f"0/main/{aligned}/0"][: round(reversed_ * batch)]
        same = len(losses) == len(cell["losses"]) > 0
        apart = [abs(a - b) for a, b in zip(losses, cell["losses"], strict=False)]
        mine = ours["cells"][f"0/main/{aligned}/{reversed_}"]
        found = {"loss": max(apart) if same else float("inf"), **{key: abs(mine[key] - cell[key]) for key in mine}}
        worst = {key: max(worst[key], found[key]) for key in worst}
    return worst


def total(runs: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Wall and CPU seconds of all processes, and the CPU-seconds of each part; `end` is what follows the last one."""
    runs = list(runs)
    parts = {part: sum(float(run["cpu"][part]) for run in runs) for part in runs[0]["cpu"]}
    sums = {clock: sum(float(run[clock]) for run in runs) for clock in ("wall_seconds", "cpu_seconds")}
    return sums | parts | {"end": sums["cpu_seconds"] - sum(parts.values())}


def main() -> int:
    asked = options()
    with tempfile.TemporaryDirectory() as path:
        folder, here = Path(path), Path(__file__)
        write(folder, asked)
        ours = process(str(here.with_name("trainer_chains.py")), path)
        cell = str(here.with_name("trainer_cell.py"))
        cells = {
            (aligned, reversed_): process(cell, path, str(aligned), str(reversed_))
            for aligned in asked.align
            for reversed_ in asked.reverse
        }
    apart, costs = differences(ours, cells), {"chains": total([ours]), "loop": total(cells.values())}
    report = {
        **vars(asked), "cells": len(cells), "largest_difference": apart, "bound": BOUND, "costs": costs,
        "times": {key: costs["loop"][key] / costs["chains"][key] for key in costs["loop"]},
        "start_up_share": {name: cost["start_up"] / cost["cpu_seconds"] for name, cost in costs.items()},
        "goal": GOAL,
    }  # fmt: skip
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0 if all(apart[key] <= BOUND[key] for key in BOUND) else 1


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--align", type=sizes, default=[40, 80, 200, 400])
    parser.add_argument("--reverse", type=sizes, default=[4, 8, 20, 40, 80])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--held-out", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    return parser.parse_args()


def sizes(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    sys.exit(main())
