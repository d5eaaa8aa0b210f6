"""Inner products by parameter, summed up as the uses arrive; a tied tensor's uses meet each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from springback.train.entanglement.kinds import Lookup
from springback.train.entanglement.tape import Tape
from springback.train.entanglement.uses import (
    Outer,
    Table,
    Use,
    by_factors,
    cheaper_by_factors,
    cross,
    own,
    right_products,
)

Metric = Mapping[str, Tensor]
"""A diagonal preconditioner by parameter name, each tensor of the parameter's shape."""


@dataclass(slots=True)
class Tables:
    """One table of inner products for each parameter and each group of lines."""

    groups: Sequence[Sequence[int]]
    metric: Metric | None = None
    found: dict[str, list[Table]] = field(default_factory=dict)
    _met: dict[str, list[Use]] = field(default_factory=dict)
    _read: tuple[Tensor | None, dict[int, list[Tensor]]] = (None, {})
    """The last tensor that a layer read, and its products: query, key and value read the same one."""

    def take(self, tape: Tape, name: str, use: Use) -> None:
        """Add the products of this use with itself and with earlier uses of the same parameter."""
        tables = self.found.setdefault(name, [torch.zeros(len(g), len(g), dtype=torch.float64) for g in self.groups])
        metric = None if self.metric is None else self.metric[name]
        for index, group in enumerate(self.groups):
            if group[0] not in use.lines:
                continue
            tables[index] += self._own(use, index, metric)
            for other in self._met.get(name, []):
                if group[0] in other.lines:
                    both = cross(use, other, group, metric=metric)
                    tables[index] += both + both.T
        if tape.calls[name] > 1:
            self._met.setdefault(name, []).append(_what_a_lookup_meets(tape, name, use))

    def _own(self, use: Use, index: int, metric: Tensor | None) -> Table:
        group = self.groups[index]
        if not isinstance(use, Outer) or use.looked_up or metric is not None:
            return own(use, group, metric=metric)
        known = self._known(use.right[group[0]].source)
        if not cheaper_by_factors(use, group, known=index in known):
            return own(use, group)
        if index not in known:
            known[index] = right_products(use, group)
        return by_factors(use, group, known[index])

    def _known(self, source: Tensor | None) -> dict[int, list[Tensor]]:
        """Products of what this layer read, group by group, as far as the layer before read the same."""
        if source is None:
            return {}
        if self._read[0] is not source:
            self._read = (source, {})
        return self._read[1]


def _what_a_lookup_meets(tape: Tape, name: str, use: Use) -> Use:
    """All of a use, or the few columns that are enough where only lookups are still to come (a tied head)."""
    others = [tape.kinds[path] for path, held in tape.owners.of.items() if name in held.values()]
    looked_up = sum(isinstance(kind, Lookup) for kind in others)
    if not isinstance(use, Outer) or use.looked_up or not looked_up or tape.calls[name] > 1 + looked_up:
        return use
    return use.narrowed(tape.lines.places())
