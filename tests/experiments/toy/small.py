"""A toy run of seconds, and two laboratories of known law."""

import sqlite3

import numpy as np

from springback.experiments.toy.config import Toy
from springback.experiments.toy.measure import Work, measure
from springback.experiments.toy.settle import settle
from springback.experiments.toy.world import world
from springback.store.run import Run


def small(**options):
    """64 strings, a narrow network, three seeds."""
    given = {"length": 6, "pretrain": (640,), "align_sizes": (64, 256), "reverse_sizes": (32, 64, 128), "width": 16}
    return Toy(**{**given, **options})


def records(path):
    """Every record but what it cost."""
    run = Run.look(path)
    found = {(kind, key): body for kind in run.kinds() for key, body in run.read(kind).items()}
    run.close()
    return {key: {name: part for name, part in body.items() if name != "cost"} for key, body in found.items()}


def stored_bodies(path):
    """Bodies as text, to compare digit for digit."""
    with sqlite3.connect(path / "records.sqlite") as database:
        return dict(database.execute("SELECT kind || ':' || key, body FROM records WHERE kind = 'cell'").fetchall())


class CountMixture:
    """A spring: the model after any strings is the mixture of what it has seen, weighted by count."""

    def __init__(self, config, pull=1.0):
        self.config, self.pull = config, pull

    def kept(self, origin):
        return True

    def follow(self, group):
        for size in group[0].sizes:
            yield np.stack([np.log2(self.mixed(chain, size)) for chain in group])

    def mixed(self, chain, size):
        made = world(self.config, chain.seed, chain.mix)
        first, second, third = made.parts
        everything = (first + second + third) / 3
        if chain.phase == "pretrain":
            return everything
        wanted = made.aligned if chain.arm == "main" else everything
        align, reverse = (size, 0) if chain.phase == "align" else (chain.aligned, size)
        counts = chain.pretrain * everything + self.pull * (align * wanted + reverse * made.reversed)
        return counts / counts.sum()


class Immobile(CountMixture):
    """No training moves it."""

    def __init__(self, config):
        super().__init__(config, pull=0.0)


def findings(config, laboratory, path, asked=None):
    """What is stored of a run in such a laboratory."""
    with Run.open(path, command="toy", asked=asked or {}, identity={}) as run:
        for _ in measure(config, run, laboratory, Work()):
            pass
        settle(config, run)
    return records(path)
