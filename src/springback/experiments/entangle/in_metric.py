"""Which inner product a diagnosis is in: the Euclidean one, or Adam's of the step on each batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from springback.experiments.entangle import measuring, pulls
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.loading import Loaded
from springback.experiments.entangle.moments import from_checkpoint, told
from springback.experiments.entangle.walk import Reference
from springback.train.entanglement.preconditioner import Moments, NextAdamMetric, estimated
from springback.train.entanglement.tables import Metric


@dataclass(slots=True)
class InMetric:
    """Makes the metric of a batch; None is the Euclidean one."""

    config: Entangle
    loaded: Loaded
    asked: pulls.Asked
    batches: Sequence[Sequence[int]]
    references: Callable[[int], Reference | None]
    """What the reference model said of a batch."""
    _begun: Moments | None = None
    _last: tuple[int, Metric | None] | None = None

    def told(self) -> dict[str, Any]:
        """The body of the `metric` record. RefusedError where the checkpoint's moments are not this network's."""
        return told(self.config, self.network, len(self.batches))

    def of(self, downhill: Mapping[str, Tensor], *, scale: float = 1.0) -> Metric | None:
        """Of the step whose gradient is −`downhill` times `scale`."""
        if self.begun is None:
            return None
        scaled = downhill if scale == 1 else {name: each * scale for name, each in downhill.items()}
        return NextAdamMetric(self.begun, scaled)

    def of_pair(self, index: int) -> Metric | None:
        """Of the step on the batch that this pair is in; the last batch's is kept."""
        if self.config.metric == "euclidean":
            return None
        number = next(number for number, batch in enumerate(self.batches) if index in batch)
        if self._last is None or self._last[0] != number:
            self._last = (number, self.of(self._direction(number)))
        return self._last[1]

    @property
    def network(self) -> nn.Module:
        return self.loaded.network

    @property
    def begun(self) -> Moments | None:
        """Second moments before any of the steps that are asked about; None for the Euclidean inner product."""
        if self._begun is None and self.config.metric == "adam":
            first = range(min(self.config.moment_batches, len(self.batches)))
            given = self.config.moments
            self._begun = (
                estimated(map(self._direction, first)) if given is None else from_checkpoint(Path(given), self.network)
            )
        return self._begun

    def _direction(self, number: int) -> Mapping[str, Tensor]:
        rows = [self.loaded.pairs[index] for index in self.batches[number]]
        policy = measuring.logprobs(self.network, rows, collision=self.asked.collision)
        pull = pulls.pulls(self.asked.loss, policy, pulls.given(policy, self.references(number)))
        return measuring.direction(self.network, rows, pull)
