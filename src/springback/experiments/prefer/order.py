"""Which rows each optimiser step takes: by position and seed alone, an order of its own in every epoch.

The stream of rows goes on from one epoch into the next, and steps cut it into batches; only the run's last one can be
smaller. So the first steps of a longer run are those of a shorter one.
"""

from dataclasses import dataclass, field

from springback.data.order import drawn


@dataclass(slots=True)
class Order:
    """The order of a run."""

    rows: int
    batch: int
    accumulate: int
    epochs: int
    seed: int
    _epoch: dict[int, list[int]] = field(default_factory=dict)

    def step(self, index: int) -> list[tuple[int, ...]]:
        """Places of the rows of step `index` (from 0), by micro-batch."""
        first, end = index * self.batch, min((index + 1) * self.batch, self.epochs * self.rows)
        return self._cut([self._place(position) for position in range(first, end)])

    def first_epoch(self, steps: int) -> list[tuple[int, ...]]:
        """Micro-batches of the first epoch that hold every row of so many steps once; all rows where they need them."""
        starts = range(0, min(self.rows, steps * self.batch), self.batch)
        epoch = self._order(0)
        return [part for start in starts for part in self._cut(epoch[start : start + self.batch])]

    def epoch(self, index: int) -> int:
        """The epoch, from 0, that step `index` begins in."""
        return index * self.batch // self.rows

    def _place(self, position: int) -> int:
        epoch, place = divmod(position, self.rows)
        return self._order(epoch)[place]

    def _order(self, epoch: int) -> list[int]:
        if epoch not in self._epoch:
            found = sorted(range(self.rows), key=lambda place: drawn(self.seed, epoch, place))
            self._epoch = {key: kept for key, kept in self._epoch.items() if key == epoch - 1} | {epoch: found}
        return self._epoch[epoch]

    def _cut(self, places: list[int]) -> list[tuple[int, ...]]:
        size = -(-self.batch // self.accumulate)
        return [tuple(places[start : start + size]) for start in range(0, len(places), size)]
