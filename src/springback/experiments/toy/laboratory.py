"""The laboratory of a real network: chains of a group train side by side in one stack of weights.

A run knows a `Laboratory` only, so a stand-in of known law can take its place. Constant learning rate and streams that
do not depend on their length make the model after N strings *be* the N-string run.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from springback.experiments.toy import network
from springback.experiments.toy.config import Toy
from springback.experiments.toy.plan import Chain, Group, groups
from springback.experiments.toy.world import drawn
from springback.fit import checkpoint

Read = NDArray[np.float64]
"""[chain, string]: log₂ probabilities."""


@runtime_checkable
class Laboratory(Protocol):
    """What a toy run needs of a model."""

    def follow(self, group: Group) -> Iterator[Read]:
        """Train the chains of a group from their origins; at each of their sizes the probability of every string."""
        ...

    def kept(self, origin: str) -> bool:
        """Whether a chain can begin from this state now."""
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Products this small are slower on several threads, and sums in another order differ in the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Network:
    """Members are read and trained in float32 on the CPU. Weights of origins are kept in memory and in `folder`."""

    def __init__(self, config: Toy, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.config, self.folder, self.say = config, folder, say
        self._where = {state: folder / _name(g) for g in groups(config) for c in g for n in c.sizes
                       if (state := c.state(n))}  # fmt: skip
        self._states: dict[str, network.Weights] = {}

    def follow(self, group: Group) -> Iterator[Read]:
        config, members = self.config, [self._origin(chain) for chain in group]
        weights = network.stacked(members if len(members) > 1 else members * 2)
        strings = _strings(config, group if len(group) > 1 else [*group, *group])
        optimiser = torch.optim.AdamW(weights.values(), lr=config.learning_rate, fused=True)
        for before, size in pairwise((0, *group[0].sizes)):
            with one_thread():
                for batch in strings[:, before:size].split(config.batch, dim=1):
                    _step(weights, optimiser, batch, config)
                read = network.log2_probabilities(weights, config)[: len(group)].numpy()
            self.say(f"{len(group)} chains: {group[0].phase}, {size:,} of {group[0].sizes[-1]:,} strings")
            self._remember(group, size, weights)
            yield read
        self._keep(group)

    def kept(self, origin: str) -> bool:
        if origin not in self._states:
            found = checkpoint.load(self._where[origin])
            if isinstance(found, checkpoint.Torn):
                return False
            for name in found.tensors:
                state, _, weight = name.partition(":")
                self._states.setdefault(state, {})[weight] = found.tensors[name]
        return origin in self._states

    def release(self) -> None:
        """Delete all kept weights."""
        checkpoint.remove(self.folder)

    def _origin(self, chain: Chain) -> network.Weights:
        if chain.origin is None:
            return network.initial(self.config, torch.Generator().manual_seed(chain.seed))
        if not self.kept(chain.origin):
            raise ValueError(f"{chain.key} begins from {chain.origin}, which is not kept")
        return self._states[chain.origin]

    def _remember(self, group: Group, size: int, weights: network.Weights) -> None:
        for index, chain in enumerate(group):
            if state := chain.state(size):
                self._states[state] = network.member(weights, index)

    def _keep(self, group: Group) -> None:
        states = [state for chain in group for size in chain.sizes if (state := chain.state(size))]
        tensors = {f"{state}:{name}": tensor for state in states for name, tensor in self._states[state].items()}
        if tensors:
            checkpoint.save(self.folder / _name(group), tensors, {"chains": [chain.key for chain in group]})


def _name(group: Group) -> str:
    return hashlib.sha256("|".join(chain.key for chain in group).encode()).hexdigest()[:16]


def _strings(config: Toy, group: Sequence[Chain]) -> Tensor:
    """[member, string, time]."""
    numbers = np.stack([drawn(config, chain) for chain in group])
    return network.symbols(torch.from_numpy(numbers), config.length)


def _step(weights: network.Weights, optimiser: torch.optim.Optimizer, batch: Tensor, config: Toy) -> None:
    """One step on the mean code length of each member's batch, in nats per symbol."""
    odds = network.logits(weights, network.inputs(batch), config.heads)
    loss = functional.binary_cross_entropy_with_logits(odds, batch.float(), reduction="sum")
    optimiser.zero_grad()
    (loss / batch[0].numel()).backward()
    optimiser.step()
