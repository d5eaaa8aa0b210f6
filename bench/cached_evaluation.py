"""KL(start‖θ) at every cell of a grid: the start's logits computed once against the start evaluated again at each.

    OMP_NUM_THREADS=1 python bench/cached_evaluation.py [--model tiny|ALIAS|DIRECTORY] [--cells 8] [--samples 24]

A cell is the start with its weights moved a little. Three ways, in turn at every cell, each from the same answers:

- cached: `from_start` along the logits that were computed once (as an audit does it); the one pass is counted.
- twice: the start and θ both evaluated along the answers, which were drawn once.
- anew: the start asked for its answers again as well (`along_start` at every cell), then both evaluated.

All values must be equal to the bit. Prints one JSON object; exit 1 where one differs. `forward_ratio` is the same with
the arithmetic over the vocabulary left out, which both ways do: 2 · cells / (cells + 1) passes.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import nn

from springback.errors import RefusedError
from springback.experiments.audit.bench import Along, Answers, Bench
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.audit.measure import along_start, from_start, portions
from springback.experiments.audit.sources import gather
from springback.experiments.audit.workbench import measuring
from springback.judge.choose import choose
from springback.models.language_model import LanguageModel
from springback.models.load import load
from springback.models.score import answer_logits
from springback.models.tokens import stop_ids

T = TypeVar("T")
GOAL, SEED = 2, 0
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def bench_of(asked: argparse.Namespace, model: LanguageModel) -> Bench:
    """An audit's bench on its default data; of it, only prompts and start are needed."""
    config = Audit(tiny=asked.model == "tiny", samples=asked.samples, pairs=asked.samples)
    shared = gather(config).shared
    found = measuring(model, shared, config)
    scorer = choose("lexicon", fit=shared.scorer_fit, held_out=shared.scorer_held_out, why=shared.scorer_why)
    return Bench(
        model=model, start=lambda: nullcontext(model.network), prompts=found.prompts, wanted=found.wanted,
        opposite=found.opposite, neutral=(), scorer=scorer, stop=stop_ids(model), config=config, held_out=found.answers,
    )  # fmt: skip


def logits_along(bench: Bench, answers: Answers) -> Along:
    """What `along_start` does after it has drawn."""
    with bench.start() as network:
        parts = [answer_logits(network, rows) for rows in portions(answers.rows, network)]
    return Along(answers, tuple(logits for part in parts for logits in part))


def twice(network: nn.Module, bench: Bench, answers: Answers) -> list[list[float]]:
    """The plain way: nothing is known of the start but its answers."""
    return from_start(network, logits_along(bench, answers))


def anew(network: nn.Module, bench: Bench) -> list[list[float]]:
    return from_start(network, along_start(bench, SEED))


def moved(network: nn.Module, start: nn.Module, cell: int) -> None:
    """Each weight of the start moved by 1 % (standard deviation), another way in each cell."""
    draw = torch.Generator().manual_seed(cell)
    with torch.no_grad():
        for own, other in zip(network.parameters(), start.parameters(), strict=True):
            own.copy_(other * (1 + 0.01 * torch.randn(other.shape, generator=draw).to(other.dtype)))


class Clock:
    """CPU and wall seconds by name."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], T]) -> T:
        cpu, wall = time.process_time(), time.perf_counter()
        found = work()
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        return found


def compared(asked: argparse.Namespace) -> dict[str, Any]:
    model = model_of(asked)
    bench, clock, different = bench_of(asked, model), Clock(), 0
    start, network = model.network, copy.deepcopy(model.network)
    answers = along_start(bench, SEED).answers
    once = clock.timed("once", lambda: logits_along(bench, answers))
    kl: list[float] = []
    for cell in range(asked.cells):
        moved(network, start, cell)
        clock.timed("forward", lambda: [answer_logits(network, rows) for rows in portions(answers.rows, network)])
        found = [
            clock.timed("cached", lambda: from_start(network, once)),
            clock.timed("twice", lambda: twice(network, bench, answers)),
            *([clock.timed("anew", lambda: anew(network, bench))] if cell < asked.anew else []),
        ]
        different += any(one != found[0] for one in found)
        kl += [bits for answer in found[0] for bits in answer]
    return {"model": model.name, "answer_tokens": sum(len(row.answer) for row in answers.rows),
            "mean_kl_bits": sum(kl) / len(kl), "different_cells": different, **times(clock, asked)}  # fmt: skip


def times(clock: Clock, asked: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a whole grid (`anew` from the cells on which it was run), and ratios to the cached way."""
    found: dict[str, Any] = {}
    for name, spent in (("cpu", clock.cpu), ("wall", clock.wall)):
        again = spent["anew"] / asked.anew * asked.cells
        cached = spent["once"] + spent["cached"]
        seconds = {"cached": cached, "twice": spent["twice"], "anew": again, "one_pass": spent["forward"] / asked.cells}
        found[name] = {"seconds": seconds, "twice": spent["twice"] / cached, "anew": again / cached}
    return found | {"forward_ratio": 2 * asked.cells / (asked.cells + 1), "goal": GOAL}


def model_of(asked: argparse.Namespace) -> LanguageModel:
    """The embedded model where it was pulled, else the tiny one."""
    try:
        return load(asked.model, dtype=DTYPES[asked.dtype])
    except RefusedError as refused:
        sys.stderr.write(f"{refused.message} Using the tiny model.\n")
        asked.model = "tiny"
        return load("tiny", dtype=DTYPES[asked.dtype])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--anew", type=int, default=2, help="cells on which the third way is run")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--dtype", default="bfloat16", choices=list(DTYPES))
    asked = parser.parse_args()
    found = compared(asked)
    report = {**vars(asked), "threads": torch.get_num_threads(), **found}
    sys.stdout.write(f"{json.dumps(report, indent=1)}\n")
    return 1 if found["different_cells"] else 0


if __name__ == "__main__":
    sys.exit(main())
