"""Nested grid against cell by cell: the same weights from how many fewer examples?

    python bench/nested_grid.py [--model tiny|ALIAS|DIRECTORY] [--align 8,16,32] [--reverse 8,16]

A grid has one cell for each (N aligned, n reversed). Cell by cell, as a shell loop over a training command does it,
each cell is tuned from the start: N examples, then n with a fresh optimiser state. Nested, one chain passes through all
N, and from each of them one through all n. Constant learning rate, fixed order: the weights must be equal to
the bit. Prints one JSON object; exit 1 where a cell differs.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
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


def separately(bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Cost:
    """Each cell from the start."""
    began, examples, cells = time.process_time(), 0, {}
    for aligned in align:
        for reversed_ in (0, *reverse):
            bench.update.load(bench.start)
            examples += bench.advance(bench.align, 0, aligned)
            bench.update.free_moments()
            examples += bench.advance(bench.reverse, 0, reversed_)
            cells[aligned, reversed_] = digest(bench.update)
    return Cost(examples, time.process_time() - began, cells)


def nested(bench: Bench, align: Sequence[int], reverse: Sequence[int]) -> Cost:
    """One chain through the sizes of the alignment, one chain of reversal from each of them."""
    began, examples, cells = time.process_time(), 0, {}
    bench.update.load(bench.start)
    for before, aligned in steps(align):
        examples += bench.advance(bench.align, before, aligned)
        cells[aligned, 0] = digest(bench.update)
        kept = {name: tensor.clone() for name, tensor in bench.update.state().items()}
        bench.update.free_moments()
        for at, reversed_ in steps(reverse):
            examples += bench.advance(bench.reverse, at, reversed_)
            cells[aligned, reversed_] = digest(bench.update)
        bench.update.load(kept)
    return Cost(examples, time.process_time() - began, cells)


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--align", type=sizes, default=[8, 16, 32, 64])
    parser.add_argument("--reverse", type=sizes, default=[8, 16, 32])
    asked = parser.parse_args()
    bench = bench_of(asked.model, max(*asked.align, *asked.reverse))
    one, other = nested(bench, asked.align, asked.reverse), separately(bench, asked.align, asked.reverse)
    different = sorted(cell for cell in other.cells if one.cells[cell] != other.cells[cell])
    report = json.dumps({
        "model": asked.model, "align": asked.align, "reverse": asked.reverse, "cells": len(one.cells),
        "different_cells": different,
        "examples": {"nested": one.examples, "separate": other.examples, "ratio": other.examples / one.examples},
        "cpu_seconds": {
            "nested": one.cpu_seconds, "separate": other.cpu_seconds, "ratio": other.cpu_seconds / one.cpu_seconds
        },
    }, indent=1)  # fmt: skip
    sys.stdout.write(f"{report}\n")
    return 1 if different else 0


def sizes(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    sys.exit(main())
