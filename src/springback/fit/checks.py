"""Whether tuning tunes: every trainable tensor must have had a gradient and must have moved in the first steps.

A frozen norm, an adapter cut off by gradient checkpointing and updates lost to rounding all give a falling loss and a
wrong result. LoRA needs two steps: its A has no gradient while B is 0.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from springback.fit.loop import Step
from springback.fit.masters import MasterAdamW

STEPS = {"full": 1, "lora": 2}
"""Steps after which every tensor must have moved, by the way of tuning."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A tensor that did not learn."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What the first steps did. Reportable only where `ok`."""

    tensors_total: int
    moved: int
    """Tensors that had a finite gradient other than 0 and whose values changed."""
    stuck: tuple[Stuck, ...]
    steps: int
    """Steps that were watched; fewer than needed means that nothing can be said yet."""
    needed: int

    @property
    def ok(self) -> bool:
        """Enough steps were watched and every tensor moved."""
        return self.steps >= self.needed and not self.stuck


@dataclass(slots=True)
class FirstSteps:
    """Watches an optimiser from now on, for `needed` steps; costs one read of the weights before and one after."""

    optimizer: MasterAdamW
    needed: int = 1
    report: Moved | None = None
    """None until a step was watched."""
    _before: dict[str, int] = field(default_factory=dict)
    _gradients: dict[str, list[float]] = field(default_factory=dict)
    _steps: int = 0

    def watch(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Hand the steps on; the report stands when the last needed one is yielded."""
        self._before = _fingerprints(self.optimizer)
        for step in steps:
            if self._steps < self.needed:
                self._note()
            yield step

    def _note(self) -> None:
        self._steps += 1
        for name, norm in self.optimizer.norms.items():
            self._gradients.setdefault(name, []).append(norm)
        after = _fingerprints(self.optimizer)
        found = [Stuck(name, why) for name in after if (why := self._why(name, after[name]))]
        self.report = Moved(len(after), len(after) - len(found), tuple(found), self._steps, self.needed)

    def _why(self, name: str, fingerprint: int) -> str | None:
        norms = self._gradients.get(name, [])
        if not any(norms):
            return "no gradient other than 0"
        if not all(map(math.isfinite, norms)):
            return "a gradient that is not finite"
        return "a gradient, but its values did not change" if fingerprint == self._before[name] else None


def _fingerprints(optimizer: MasterAdamW) -> dict[str, int]:
    return {slot.name: fingerprint(slot.master) for slot in optimizer.slots}


def fingerprint(tensor: Tensor) -> int:
    """A number of the tensor's bits, without a copy. Equal tensors have equal ones; chance equality reads as stuck."""
    words = tensor.detach().view(-1).view(torch.int32)
    return int(words.sum(dtype=torch.int64))
