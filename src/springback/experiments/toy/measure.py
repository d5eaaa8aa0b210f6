"""Walk the groups: train, read every point, store; resume at the group.

A group's records are stored in one transaction when it is done; its weights before that, where others begin from them.
What is stored is never measured again. Where an origin's weights are gone, its group is trained again, which gives the
same weights bit for bit: the groups depend on the configuration alone.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from springback.experiments.toy.config import Toy
from springback.experiments.toy.laboratory import Laboratory, Read
from springback.experiments.toy.plan import Group, groups, steps
from springback.experiments.toy.readings import Log2, reading, source
from springback.experiments.toy.world import World, world
from springback.store.run import Run

Laws = Callable[[int, float], World]
"""The world of a seed and mix."""


@dataclass(slots=True)
class Work:
    """What this call has done."""

    cells: int = 0
    optimizer_steps: int = 0
    tokens_trained: int = 0
    """Symbols trained on, members summed."""
    tokens_forward: int = 0
    """Symbols scored: every string at every point."""


def measure(config: Toy, run: Run, laboratory: Laboratory, work: Work) -> Iterator[Group]:
    """Yield each group as its records become durable; those stored before are passed over."""
    plan = groups(config)
    laws = cache(lambda seed, mix: world(config, seed, mix))
    _sources(config, run)
    for group in plan:
        if all(run.get("chain", chain.key) for chain in group):
            continue
        for origin in _lost(group, plan, laboratory):
            _follow(origin, laboratory, work, config)
        began = time.monotonic()
        reads = _follow(group, laboratory, work, config)
        with run.together():
            _store(group, reads, run, laws, config, seconds=time.monotonic() - began)
        work.cells += sum(len(chain.cells(size, config)) for chain in group for size in chain.sizes)
        yield group


def _sources(config: Toy, run: Run) -> None:
    for seed in config.seeds:
        for mix in config.mix:
            if run.get("source", f"{seed}/{mix:g}") is None:
                body = {"seed": seed, "mix": mix, **source(world(config, seed, mix), config)}
                run.append("source", f"{seed}/{mix:g}", body)


def _lost(group: Group, plan: list[Group], laboratory: Laboratory) -> list[Group]:
    """Groups to train again before this one can begin, their own origins first, each once."""
    missing = {chain.origin for chain in group if chain.origin and not laboratory.kept(chain.origin)}
    found = [g for g in plan if any(c.state(n) in missing for c in g for n in c.sizes)]
    first = [earlier for g in found for earlier in _lost(g, plan, laboratory)]
    return list({g[0].key: g for g in (*first, *found)}.values())


def _follow(group: Group, laboratory: Laboratory, work: Work, config: Toy) -> list[Read]:
    reads = list(laboratory.follow(group))
    work.optimizer_steps += steps(config, [group])
    work.tokens_trained += steps(config, [group]) * config.batch * config.length
    work.tokens_forward += len(reads) * len(group) * config.length * 2**config.length
    return reads


def _store(group: Group, reads: list[Read], run: Run, laws: Laws, config: Toy, *, seconds: float) -> None:
    for index, chain in enumerate(group):
        for size, read in zip(chain.sizes, reads, strict=True):
            if chain.phase == "pretrain":
                body = {"seed": chain.seed, "pretrain": size, "log2_probabilities": read[index].tolist()}
                run.append("start", f"{chain.seed}/{size}", body)
            for cell in chain.cells(size, config):
                base = _base(run, cell.seed, cell.pretrain)
                run.append("cell", cell.key, reading(cell, read[index], base, laws(cell.seed, cell.mix), config))
        body = {"phase": chain.phase, "seed": chain.seed, "sizes": list(chain.sizes)}
        run.append("chain", chain.key, body, cost={"seconds": seconds / len(group)})


def _base(run: Run, seed: int, pretrain: int) -> Log2:
    found = run.get("start", f"{seed}/{pretrain}")
    assert found is not None, "groups stand origins first"
    return np.array(found["log2_probabilities"])
