"""The paper's grid three ways: the same weights from how many fewer examples?

    python bench/nested_grid.py [--model tiny|ALIAS|DIRECTORY] [--align 80,160,400,800] [--reverse 8,16,40,80,160]

A grid has one cell for each (N aligned, n reversed). The default is that of Ji et al. (arXiv 2406.06144, §5.2),
N ∈ {1k, 2k, 5k, 10k} and n ∈ {100, 200, 500, 1k, 2k}, divided by 12.5 so that a batch of 8 divides every size; the
ratios of examples do not change by that.

Cell by cell, as a shell loop over a training command does it, each cell is tuned from the start: N examples, then n
with a fresh optimiser state. With reuse each N is tuned once from the start and its weights are kept. Nested, one chain
passes through all N, and from each of them one through all n. Constant learning rate, fixed order: the weights must be
equal to the bit. Prints one JSON object; exit 1 where a cell differs.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from springback.fit.masters import MasterAdamW
from springback.models.load import load
from springback.models.rows import Row
from springback.train.sft import SFT, optimizer, tune

Cell = tuple[int, int]


class Cost(NamedTuple):
    """What a way of filling the grid took."""

    examples: int
    cpu_seconds: float
    wall_seconds: float
    cells: dict[Cell, str]
    """sha256 of the masters of each cell."""


class Bench(NamedTuple):
    """A network with its start, and rows for both directions."""

    network: nn.Module
    update: MasterAdamW
    start: dict[str, Tensor]
    align: Sequence[Row]
    reverse: Sequence[Row]
    options: SFT

    def advance(self, rows: Sequence[Row], first: int, last: int) -> int:
        """Tune from example `first` to example `last`; how many examples that were."""
        batch = self.options.batch
        return sum(
            step.examples
            for step in tune(self.network, self.update, rows[first:last], self.options, first_step=first // batch)
        )

    def weights(self) -> dict[str, Tensor]:
        """A copy of the masters and moments."""
        return {name: tensor.clone() for name, tensor in self.update.state().items()}


Way = Callable[[Bench, Sequence[int], Sequence[int]], Iterator[tuple[Cell, int]]]
"""Yields each cell when the network is there, with the examples trained on since the cell before."""


def cell_by_cell(bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Iterator[tuple[Cell, int]]:
    """Each cell from the start."""
    for aligned in align:
        for reversed_ in reverse:
            bench.update.load(bench.start)
            examples = bench.advance(bench.align, 0, aligned)
            bench.update.free_moments()
            yield (aligned, reversed_), examples + bench.advance(bench.reverse, 0, reversed_)


def reuse(bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Iterator[tuple[Cell, int]]:
    """Each N once from the start; each cell from the kept weights of its N."""
    for aligned in align:
        bench.update.load(bench.start)
        examples = bench.advance(bench.align, 0, aligned)
        kept = bench.weights()
        for reversed_ in reverse:
            bench.update.load(kept)
            bench.update.free_moments()
            yield (aligned, reversed_), examples + bench.advance(bench.reverse, 0, reversed_)
            examples = 0


def nested(bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Iterator[tuple[Cell, int]]:
    """One chain through the sizes of the alignment, one chain of reversal from each of them."""
    bench.update.load(bench.start)
    for before, aligned in steps(align):
        examples = bench.advance(bench.align, before, aligned)
        kept = bench.weights()
        bench.update.free_moments()
        for at, reversed_ in steps(reverse):
            yield (aligned, reversed_), examples + bench.advance(bench.reverse, at, reversed_)
            examples = 0
        bench.update.load(kept)


WAYS: dict[str, Way] = {"nested": nested, "reuse": reuse, "cell_by_cell": cell_by_cell}


def cost(way: Way, bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Cost:
    wall, cpu, total, cells = time.perf_counter(), time.process_time(), 0, {}
    for cell, examples in way(bench, align, reverse):
        total += examples
        cells[cell] = digest(bench.update)
    return Cost(total, time.process_time() - cpu, time.perf_counter() - wall, cells)


def steps(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each size with the one before it."""
    return zip((0, *sizes), sizes, strict=False)


def digest(update: MasterAdamW) -> str:
    found = hashlib.sha256()
    for tensor in update.state(moments=False).values():
        found.update(tensor.cpu().numpy().tobytes())
    return found.hexdigest()


def bench_of(model: str, count: int) -> Bench:
    dtype = torch.float32 if model == "tiny" else torch.bfloat16
    network = load(model, dtype=dtype).network.requires_grad_(True)  # noqa: FBT003
    options = SFT(lr=1e-3 if model == "tiny" else 1e-4)
    update = optimizer(network, options)
    start = {name: tensor.clone() for name, tensor in update.state().items()}
    vocab = network.config.get_text_config().vocab_size
    return Bench(network, update, start, random_rows(0, count, vocab), random_rows(1, count, vocab), options)


def random_rows(seed: int, count: int, vocab: int) -> list[Row]:
    """Prompts of 25 tokens, the first 16 shared, and answers of 16 to 30."""
    draw = torch.Generator().manual_seed(seed)

    def tokens(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, vocab, (length,), generator=draw).tolist())

    shared = tuple(range(3, 19))
    lengths = torch.randint(16, 31, (count,), generator=draw).tolist()
    return [Row((*shared, *tokens(9)), tokens(length), 1, 0) for length in lengths]


def ratios(costs: dict[str, Cost]) -> dict[str, dict[str, float]]:
    """Each way's cost over the nested one's."""
    ours = costs["nested"]
    return {
        name: {
            "examples": found.examples / ours.examples,
            "cpu_seconds": found.cpu_seconds / ours.cpu_seconds,
            "wall_seconds": found.wall_seconds / ours.wall_seconds,
        }
        for name, found in costs.items()
        if name != "nested"
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--align", type=sizes, default=[80, 160, 400, 800])
    parser.add_argument("--reverse", type=sizes, default=[8, 16, 40, 80, 160])
    asked = parser.parse_args()
    bench = bench_of(asked.model, max(*asked.align, *asked.reverse))
    bench.advance(bench.align, 0, 8)  # warm
    costs = {name: cost(way, bench, asked.align, asked.reverse) for name, way in WAYS.items()}
    expected = costs["cell_by_cell"].cells
    different = {name: sorted(cell for cell in expected if found.cells.get(cell) != expected[cell])
                 for name, found in costs.items() if found is not costs["cell_by_cell"]}  # fmt: skip
    report = {
        **vars(asked), "threads": torch.get_num_threads(), "cells": len(expected), "different_cells": different,
        "costs": {name: {key: value for key, value in found._asdict().items() if key != "cells"}
                  for name, found in costs.items()},
        "times_nested": ratios(costs),
    }  # fmt: skip
    sys.stdout.write(f"{json.dumps(report, indent=1)}\n")
    return 1 if any(different.values()) else 0


def sizes(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    sys.exit(main())
