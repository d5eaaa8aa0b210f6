"""From options to a finished toy run. Torch is imported only where there is something to train."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import cells, groups, steps
from springback.experiments.toy.predictions import PREDICTIONS
from springback.papers import ADAMW, ELASTICITY
from springback.store import provenance
from springback.store.run import Run, default_dir

NOTHING: Mapping[str, int] = {"cells": 0, "optimizer_steps": 0, "tokens_trained": 0, "tokens_forward": 0}


@dataclass(frozen=True, slots=True)
class Lab:
    """A finished toy run."""

    run: Run
    work_done: Mapping[str, int]


def run_toy(config: Toy, out: Path | None, *, quiet: bool = False) -> Lab:
    """Run it, or go on with it, or find that it is done.

    RefusedError where the directory holds another question's run.
    """
    path = out or default_dir("toy", asdict(config))
    with Run.open(path, command="toy", asked=asdict(config), identity={}, about=provenance.about()) as run:
        work = NOTHING if run.state == "complete" else _carry_out(config, run, quiet=quiet)
    return Lab(Run.look(path), work)


def planned(config: Toy) -> dict[str, Any]:
    """What will be run and which tests are stated, before anything is trained."""
    rules = {p.name: [f"{part.what}: {part.rule()}" for part in p.parts(config)] for p in PREDICTIONS
             if not p.needs(config)}  # fmt: skip
    return {"cells": sum(1 for _ in cells(config)), "optimizer_steps": steps(config, groups(config)), "tests": rules}


def _carry_out(config: Toy, run: Run, *, quiet: bool) -> Mapping[str, int]:
    from springback.experiments.toy.laboratory import Network
    from springback.experiments.toy.measure import Work, measure
    from springback.experiments.toy.settle import settle

    began, work = time.monotonic(), Work()
    if "plan" not in run.meta:
        run.note(plan=planned(config), papers=[ELASTICITY.key, ADAMW.key])
    laboratory = Network(config, run.path / "checkpoints", say=_said(quiet=quiet, began=began))
    for _ in measure(config, run, laboratory, work):
        pass
    settle(config, run)
    if not config.keep_checkpoints:
        laboratory.release()
    seconds = sum(body["cost"]["seconds"] for body in run.read("chain").values())  # of all calls, if it was resumed
    run.finish("complete", cost={"seconds": seconds})
    return asdict(work)


def _said(*, quiet: bool, began: float) -> Callable[[str], None]:
    def say(what: str) -> None:
        print(f"{what}; {time.monotonic() - began:.0f} s gone", file=sys.stderr, flush=True)  # noqa: T201

    return (lambda _: None) if quiet else say
