"""Our side of `bench/trainer_loop.py`: all cells of a grid in one process, through nested chains.

    python bench/trainer_chains.py FOLDER

FOLDER holds `model/` and `rows.json`. The walk of an audit through the main arm of its grid: checkpoints and records
durable, γ of the held-out answers and KL(start‖θ) along them at every point, the start's logits computed once. The last
line that it prints is one JSON object: loss of every step, both readings, CPU-seconds of each part.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from springback.elasticity.code_length import gamma
from springback.experiments.audit.audit import Record, audit
from springback.experiments.audit.bench import Along, Answers
from springback.experiments.audit.config import Audit
from springback.experiments.audit.grid import Grid, Part, Point, grid
from springback.experiments.audit.measure import coded, from_start
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.weights import Weights
from springback.models.load import load
from springback.models.rows import Row
from springback.models.score import answer_logits
from springback.store.run import Run
from springback.train.sft import SFT, optimizer


@dataclass(slots=True)
class Chains:
    """A `Laboratory` of the audit's walk: trains, keeps, and reads what the loop reads."""

    weights: Weights
    rows: Mapping[str, Sequence[Row]]
    along: Along
    sft: SFT
    losses: dict[str, list[float]] = field(default_factory=dict)
    """By what the chain began from."""
    spent: dict[str, float] = field(default_factory=lambda: {"gamma": 0.0, "kl": 0.0})
    """CPU-seconds of reading."""
    _origin: str = ""

    def begin(self, origin: Point | None, seed: int) -> None:
        del seed
        self._origin = origin.id if origin else "start"
        self.weights.begin(origin)

    def tune(self, part: Part, first: int, last: int) -> Iterator[object]:
        for step in self.weights.tune(self.rows[part][first:last], self.sft):
            self.losses.setdefault(self._origin, []).append(step.loss)
            yield step

    def settle(self) -> None:
        self.weights.settle()

    def keep(self, point: Point) -> None:
        self.weights.keep(point)

    def kept(self, point: Point) -> bool:
        return self.weights.kept(point)

    def read(self, point: Point) -> Iterable[Record]:
        clock = [time.process_time()]
        with self.weights.reading() as network:
            rate = gamma(coded(network, self.rows["held_out"])).micro.estimate
            clock.append(time.process_time())
            bits = [one for answer in from_start(network, self.along) for one in answer]
        clock.append(time.process_time())
        for part, (begin, end) in zip(self.spent, pairwise(clock), strict=True):
            self.spent[part] += end - begin
        yield "cell", point.id, {"id": point.id, "gamma": rate, "kl": sum(bits) / len(bits)}

    def extras(self, point: Point) -> Iterable[str]:
        del point
        return ()

    def read_extra(self, name: str, point: Point) -> Iterable[Record]:
        raise AssertionError((name, point))


def chains(folder: Path) -> dict[str, Any]:
    clock = [0.0, time.process_time()]
    asked = json.loads((folder / "rows.json").read_text())
    start = load(str(folder / "model"), dtype=torch.float32).network
    network = load(str(folder / "model"), dtype=torch.float32).network.requires_grad_(True)  # noqa: FBT003
    clock.append(time.process_time())
    sft = SFT(
        lr=asked["lr"], batch=asked["batch"], betas=(asked["betas"][0], asked["betas"][1]), eps=asked["eps"],
        weight_decay=asked["weight_decay"], clip=asked["clip"],
    )  # fmt: skip
    weights = Weights(network, optimizer(network, sft), start, folder / "checkpoints")
    weights.keep(None)
    rows = {part: rows_of(asked[part]) for part in ("align", "reverse", "held_out")}
    held = tuple(rows["held_out"])
    clock.append(time.process_time())
    along = Along(Answers(held, (True,) * len(held)), tuple(answer_logits(start, held)))
    lab = Chains(weights, rows, along, sft)
    lab.spent["kl"] = time.process_time() - clock[-1]
    with Run.open(folder / "run", command="bench", asked={}, identity={}) as run:
        list(audit(main_arm(asked), run, lab, Progress({}, {}, say=None)))
        cells = {key: {"gamma": body["gamma"], "kl": body["kl"]} for key, body in run.read("cell").items()}
    start_up, loading = (end - begin for begin, end in pairwise(clock[:3]))
    train = time.process_time() - clock[2] - sum(lab.spent.values())
    return {
        "cells": cells,
        "losses": lab.losses,
        "cpu": {"start_up": start_up, "load": loading, "train": train, **lab.spent},
    }


def main_arm(asked: Mapping[str, Any]) -> Grid:
    """The paper's grid alone, without our placebos."""
    whole = grid(Audit(
        align_sizes=tuple(asked["align_sizes"]), reverse_sizes=tuple(asked["reverse_sizes"]), batch=asked["batch"],
        arms="all",
    ))  # fmt: skip
    return Grid(whole.starts[:1], (), tuple(chain for chain in whole.chains if chain.points[0].arm == "main"))


def rows_of(written: Sequence[Mapping[str, Any]]) -> list[Row]:
    return [Row(tuple(row["prompt"]), tuple(row["answer"]), 1, row["bytes"]) for row in written]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(chains(Path(sys.argv[1]))) + "\n")
