"""Several adapters in one pass against one after another: the same factors, in how much less time and memory?

    python bench/stacked_lora.py [--adapters 2,4,8] [--batch 2] [--dtype float32|bfloat16] [--device cpu|cuda]

In turn: PEFT's adapter on every linear layer in the plain loop (`train.sft`), one adapter after another. Together: the
same rows through a stack (`train.sft_stacked`). Alone: the stack, one adapter at a time, which shows what the fused
layer gains without stacking. Rows have 24 prompt and 24 answer tokens of random ids; rank 8. A step is taken in each
way in turn, A/B/C/A/B/C; ratios are medians over rounds. First the factors of each adapter after two steps are
compared. Memory is the peak of one step over what was there before it. Prints one JSON object; exit 1 where the
factors differ.
"""

import argparse
import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn

from springback.fit.masters import MasterAdamW
from springback.fit.stacked_adamw import StackedAdamW
from springback.models.adapters import LoRA, attach
from springback.models.load import load
from springback.models.rows import Row
from springback.models.stacked_adapters import Stack, stack
from springback.train.recipe import SFT
from springback.train.sft import optimizer, tune
from springback.train.sft_in_groups import calibrated
from springback.train.sft_stacked import optimizer as stacked_optimizer
from springback.train.sft_stacked import tune_stacked

CLOSE = {"float64": 1e-9, "float32": 1e-2, "bfloat16": 0.25}
"""Largest distance of the moves of an adapter, relative to the move. Two steps of AdamW from a fresh state are nearly
lr · sign(gradient), so a gradient near 0 that is rounded to the other side moves as far as any other."""
PROMPT, ANSWER, RANK, LR = 24, 24, 8, 1e-4


class Arms(NamedTuple):
    """Both ways, on networks of their own."""

    plain: nn.Module
    single: MasterAdamW
    fresh: list[dict[str, Tensor]]
    """State of the plain loop at each adapter's start."""
    made: Stack
    together: StackedAdamW
    rows: list[list[Row]]
    options: SFT

    def in_turn(self) -> None:
        """One step of each adapter, one after another; the adapter's values do not matter to the time."""
        for rows in self.rows:
            list(tune(self.plain, self.single, rows[: self.options.batch], self.options))

    def stacked(self) -> None:
        """One step of all."""
        self._step(range(len(self.rows)))

    def one_by_one(self) -> None:
        """One step of each, through the stack."""
        for index in range(len(self.rows)):
            self._step(range(index, index + 1))

    def _step(self, chosen: range) -> None:
        batch = self.options.batch
        rows = [each[:batch] if index in chosen else [] for index, each in enumerate(self.rows)]
        list(tune_stacked(self.made, self.together, rows, [self.options] * len(rows)))


def arms(asked: argparse.Namespace, adapters: int) -> Arms:
    plain, network = (network_of(asked) for _ in range(2))
    options, lora = SFT(lr=LR, batch=asked.batch), [LoRA(rank=RANK, seed=seed) for seed in range(adapters)]
    made = stack(network, lora)
    together = stacked_optimizer(made, [options] * adapters)
    attach(plain, lora[0])
    fresh = [{name: tensor.clone() for name, tensor in together.state(index).items()} for index in range(adapters)]
    vocab = plain.config.get_text_config().vocab_size  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    rows = [random_rows(seed, 2 * asked.batch, vocab) for seed in range(adapters)]
    return Arms(plain, optimizer(plain, options), fresh, made, together, rows, options)


def network_of(asked: argparse.Namespace) -> nn.Module:
    return load(asked.model, dtype=getattr(torch, asked.dtype), device=asked.device).network


def random_rows(seed: int, count: int, vocab: int) -> list[Row]:
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, vocab, (count, PROMPT + ANSWER), generator=draw).tolist()
    return [Row(tuple(line[:PROMPT]), tuple(line[PROMPT:]), 1, 0) for line in ids]


def distances(bench: Arms) -> list[float]:
    """For each adapter ‖stacked − alone‖ / ‖alone − start‖ after two steps; both begin there again afterwards."""
    list(tune_stacked(bench.made, bench.together, bench.rows, [bench.options] * len(bench.rows)))
    found = []
    for index, start in enumerate(bench.fresh):
        bench.single.load(start)
        list(tune(bench.plain, bench.single, bench.rows[index], bench.options))
        ours, alone = (flat(update) for update in (bench.together.state(index), bench.single.state()))
        found.append(float((ours - alone).norm() / (alone - flat(start)).norm()))
        bench.together.load(index, start)
    return found


def flat(state: dict[str, Tensor]) -> Tensor:
    return torch.cat([state[name].double().flatten() for name in sorted(state) if name.startswith("master/")])


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak(run: Callable[[], None], device: str) -> int:
    """Bytes that a step takes at most, over what was there before it; on a CPU sampled from the process's pages."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    return _sampled(run)


def _sampled(run: Callable[[], None]) -> int:
    process, done = psutil.Process(), threading.Event()
    before = highest = process.memory_info().rss

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.002):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return highest - before


def compared(asked: argparse.Namespace, adapters: int) -> dict[str, Any]:
    bench = arms(asked, adapters)
    ways = {"in_turn": bench.in_turn, "stacked": bench.stacked, "one_by_one": bench.one_by_one}
    apart = distances(bench)
    memory = {name: peak(run, asked.device) for name, run in ways.items()}
    rounds = [{name: timed(run) for name, run in ways.items()} for _ in range(asked.rounds)]
    plan = calibrated(bench.made, bench.rows, [bench.options] * adapters)
    return {
        "adapters": adapters,
        "largest_distance": max(apart),
        "equal": max(apart) <= CLOSE[asked.dtype],
        "wall_ratio": ratio(rounds, 0, "stacked"),
        "cpu_ratio": ratio(rounds, 1, "stacked"),
        "one_by_one_wall_ratio": ratio(rounds, 0, "one_by_one"),
        "one_by_one_cpu_ratio": ratio(rounds, 1, "one_by_one"),
        "seconds": {name: {"wall": median(each[name][0] for each in rounds)} for name in ways},
        "peak_mib": {name: round(size / 2**20) for name, size in memory.items()},
        "plan": plan.sentence(),
    }


def ratio(rounds: Sequence[dict[str, tuple[float, float]]], clock: int, way: str) -> dict[str, float]:
    found = [each["in_turn"][clock] / each[way][clock] for each in rounds if each[way][clock]]
    return {"median": round(median(found), 3), "low": round(min(found), 3), "high": round(max(found), 3)}


def results(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for adapters in map(int, asked.adapters.split(",")):
        yield compared(asked, adapters)
        gc.collect()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--adapters", default="2,4,8")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=list(CLOSE))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found = list(results(asked))
    report = {**vars(asked), "threads": torch.get_num_threads(), "results": found}
    sys.stdout.write(f"{json.dumps(report, indent=1)}\n")
    return 0 if all(each["equal"] for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
