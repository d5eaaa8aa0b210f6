"""How a batch of stretches lies in the tensors that the modules of a network see."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from springback.train.entanglement.stretches import Stretch


class UnknownModuleError(Exception):
    """A module whose inner products are not known, or rows that cannot be told apart in what it was given."""


@dataclass(frozen=True, slots=True)
class Lines:
    """One line a stretch, padded on the right."""

    stretches: Sequence[Stretch]
    ids: Tensor
    """[line, time]: what the network read."""

    @property
    def lengths(self) -> list[int]:
        return [len(stretch.inputs) for stretch in self.stretches]

    def places(self) -> dict[int, Tensor]:
        """Token ids of each line without its padding."""
        return {line: self.ids[line, :length] for line, length in enumerate(self.lengths)}

    def apart(self, values: Tensor, *, last: int = 1) -> list[Tensor] | None:
        """The part of each line as [position, *the last axes]; None where lines cannot be told apart.

        Takes [line, time, …], [line · time, …] and [line, …] with other axes between. Only the first two are cut to
        the lines' lengths; in the last, nothing comes back to padding anyway.
        """
        count, time = self.ids.shape
        if values.ndim == 1 + last and values.shape[0] == count * time:
            values = values.unflatten(0, (count, time))
        if values.ndim < 2 + last or values.shape[0] != count:
            return None
        if values.ndim == 2 + last and values.shape[1] == time:
            return [part[:length] for part, length in zip(values, self.lengths, strict=True)]
        return [part.flatten(0, part.ndim - 1 - last) for part in values]
