"""What a training is made of before a model is loaded: method, cure, data, reference, all of them fitting together."""

from dataclasses import dataclass
from typing import Any

from springback.experiments.audit.estimate import Estimate
from springback.experiments.prefer import filters, offers, plan
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.sources import Sources, data_of, gather


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that can be found and refused before a model is loaded."""

    design: Design
    method: Any
    cure: Any
    """A `train.cures.method.Cure`, or None."""
    way: offers.Resolved
    sources: Sources

    @property
    def expected(self) -> Estimate:
        return plan.estimate(self.design, self.sources, self.way)


def prepare(design: Design) -> Prepared:
    """Read the data, find the models, look whether loss, data, reference and batches go together."""
    from springback.train.cures.choose import cure_named
    from springback.train.preference.choose import loss_named
    from springback.train.preference_step import needs_of

    method = loss_named(design.loss)
    cure, needs = cure_named(design.cure, method), needs_of(method)
    data = data_of(design)
    offers.require_fit(needs, data.offers, design)
    offers.require_whole_batches(method, design)
    if design.filter is not None:
        filters.require_pairs(design.filter, offers.kind_of(needs), method, design)
    way = offers.way_of(needs, design)
    return Prepared(design, method, cure, way, gather(design, data, offers.kind_of(needs)))
