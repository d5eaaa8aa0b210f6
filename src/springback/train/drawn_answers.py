"""Answers drawn from the policy in every step, for a loss that sets a rejected answer against the policy's own (D2O).

A row's answers depend on seed, step and the row's place in the training set alone: neither the other rows of its batch
nor how the batch is cut changes them, beyond rounding. They are drawn at temperature 1 and carry no gradient.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import nn

from springback.models.generate import sample
from springback.models.pair_tokens import RankedRows
from springback.models.rows import Row, RowPair
from springback.train.preference_step import Batch


@dataclass(frozen=True, slots=True)
class Drawn:
    """How answers are drawn."""

    count: int
    """Answers to each prompt."""
    max_new_tokens: int
    stop: AbstractSet[int]
    seed: int

    def __call__(self, network: nn.Module, batch: Batch, step: int) -> Batch:
        """The batch with, for each pair, the drawn answers and then the rejected one."""
        pairs = [item for item in batch.items if isinstance(item, RowPair)]
        prompts = [pair.rejected.prompt for pair in pairs for _ in range(self.count)]
        generators = [self._generator(step, place, index) for place in batch.places for index in range(self.count)]
        with torch.no_grad():
            written = sample(
                network, prompts, max_new_tokens=self.max_new_tokens, stop=self.stop, generators=generators
            )  # fmt: skip
        rows = [Row(prompt, one.ids, int(one.ended), 0) for prompt, one in zip(prompts, written, strict=True)]
        each = [rows[first : first + self.count] for first in range(0, len(rows), self.count)]
        items = (RankedRows((*own, pair.rejected), _equal(self.count)) for own, pair in zip(each, pairs, strict=True))
        return Batch(batch.places, tuple(items))

    def _generator(self, step: int, place: int, index: int) -> torch.Generator:
        digest = sha256(f"{self.seed}/{step}/{place}/{index}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def _equal(count: int) -> tuple[float, ...]:
    return (1.0,) * count + (0.0,)
