"""Pairwise normalised descent (Yuan et al., 2024, section 5.1) in training: `entanglement.pairwise_normalised` has the
rule and what it does not guarantee.

One forward pass and one backward pass over activations a step. `inner` says whose norms are taken: Euclidean ones hold
for plain descent; under Adam `adam` takes them in its own metric, ⟨x, Py⟩ with P = 1/(√v̂ + ε) of the steps so far. The
first step has no second moment yet and is Euclidean.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from springback import papers
from springback.fit.loop import Optimizer
from springback.fit.masters import MasterAdamW
from springback.models.rows import RowPair
from springback.train.entanglement.cured_step import cured_step
from springback.train.entanglement.pairwise_normalised import PairwiseNormalised
from springback.train.entanglement.preconditioner import AdamMetric
from springback.train.preference_step import Batch, PairedLoss, Read, Taken, Uncured


@dataclass(frozen=True, slots=True)
class Normalised:
    """d_w : d_l = ‖g_l‖ : ‖g_w‖ for every pair."""

    paper: ClassVar = papers.ENTANGLEMENT
    sums_only: ClassVar = True

    form: str = "product"
    """`product` keeps the loss's scale, `unit` makes every pair's push equally long."""
    clamp: float = 10.0
    """Largest √(‖g_l‖/‖g_w‖), and its inverse the smallest; the steps' records count the pairs that meet it."""
    inner: str = "euclidean"
    """Inner product of the norms."""

    def __post_init__(self) -> None:
        if self.form not in ("product", "unit") or self.inner not in ("euclidean", "adam"):
            raise ValueError(f"form is product or unit, inner is euclidean or adam, got {self.form} and {self.inner}")
        self.rule()

    def rule(self) -> PairwiseNormalised:
        return PairwiseNormalised("unit" if self.form == "unit" else "product", self.clamp)

    def begin(self, network: nn.Module, optimizer: Optimizer) -> Uncured:
        del network
        assert isinstance(optimizer, MasterAdamW)
        return Normalising(self, optimizer)


class Normalising(Uncured):
    """Normalised descent at work."""

    def __init__(self, options: Normalised, optimizer: MasterAdamW) -> None:
        self.rule = options.rule()
        self.by_adam, self.optimizer = options.inner == "adam", optimizer
        self.counts: Counter[str] = Counter()
        self.note: str | None = None

    def __call__(self, network: nn.Module, batch: Batch, loss: PairedLoss, reference: Any, read: Read) -> Taken:
        del read
        pairs = [item for item in batch.items if isinstance(item, RowPair)]
        step = cured_step(network, pairs, loss, reference, self.rule, metric=self._metric())
        self.counts.update(step.counts)
        self.note = step.note
        return Taken(step.summed.total, step.policy)

    def advance(self) -> None:
        self.counts.clear()

    def told(self) -> dict[str, Any]:
        return dict(self.counts) | ({"note": self.note} if self.note else {})

    def _metric(self) -> AdamMetric | None:
        fresh = any(slot.second is None for slot in self.optimizer.slots)
        return None if fresh or not self.by_adam else AdamMetric(self.optimizer)
