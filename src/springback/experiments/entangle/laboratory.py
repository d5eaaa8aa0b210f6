"""The laboratory of a real model: a batch's records, and the tokens of a pair."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from springback.experiments.entangle import descent, measuring, pair_record, probing, pulls, tokens, verified
from springback.experiments.entangle.config import Entangle
from springback.experiments.entangle.in_metric import InMetric
from springback.experiments.entangle.loading import Loaded
from springback.experiments.entangle.places import places
from springback.experiments.entangle.walk import Record, Reference
from springback.models.rows import RowPair
from springback.train.entanglement import PairGram, inner_products
from springback.train.entanglement.preconditioner import under
from springback.train.entanglement.scores import scores as cheap_scores
from springback.train.preference.pairs import PairLogprobs


@dataclass(slots=True)
class Work:
    """What this call did; all 0 where everything was stored."""

    pairs: int = 0
    steps: int = 0
    probes: int = 0


@dataclass(slots=True)
class ModelLaboratory:
    """A `walk.Laboratory` over a real network."""

    config: Entangle
    loaded: Loaded
    asked: pulls.Asked
    metric: InMetric
    work: Work = field(default_factory=Work)
    _kept: dict[int, verified.Start] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        return self.loaded.network

    def reference(self, batch: Sequence[int]) -> Reference:
        assert self.loaded.reference is not None
        found = measuring.logprobs(self.loaded.reference.network, self._rows(batch))
        return {"chosen": found.chosen.tolist(), "rejected": found.rejected.tolist()}

    def forget_reference(self) -> None:
        self.loaded.reference = None

    def batch(self, number: int, batch: Sequence[int], reference: Reference | None) -> Iterable[Record]:
        rows = self._rows(batch)
        policy = measuring.logprobs(self.network, rows, collision=self.asked.collision)
        beside = pulls.given(policy, reference)
        weights = pulls.pulls(self.asked.loss, policy, beside)
        downhill = measuring.direction(self.network, rows, weights)
        metric = self.metric.of(downhill)
        found = inner_products(self.network, rows, method=self.config.method, metric=metric)
        moved = under(metric, downhill)
        total = measuring.along(self.network, measuring.both(rows), moved)
        scores = [asdict(one) for one in cheap_scores(self.network, rows)]
        bodies = pair_record.bodies(found.pairs, weights)
        for place, index in enumerate(batch):
            inside = pair_record.with_batch(bodies[place], (total[2 * place], total[2 * place + 1]), size=len(batch))
            more = self._more(index, found.pairs[place], (policy, beside), place)
            yield "pair", str(index), {**more, "batch": number, "scores": scores[place], **inside}
        yield from self._probes(batch, moved)
        self.work.pairs += len(batch)
        yield "batch", str(number), {
            "batch": number, "pairs": [*batch], "loss": float(self.asked.loss(policy, beside).mean()),
            "gradient_norm": descent.length(downhill), "note": found.note,
        }  # fmt: skip

    def steps(
        self, number: int, batch: Sequence[int], held_out: Sequence[int], rate: float, reference: Reference | None
    ) -> Mapping[str, Any]:
        if number not in self._kept:
            self._kept = {number: verified.start(self, batch, held_out, reference)}  # one batch's at a time
        self.work.steps += 1
        return {"batch": number, **verified.step(self, self._kept[number], rate)}

    def tokens(self, index: int) -> Mapping[str, Any]:
        return {"index": index, **tokens.readings(self.loaded, index, self.metric.of_pair(index))}

    def matrix(self, index: int) -> Mapping[str, Any]:
        return {"index": index, **tokens.matrix(self.loaded, index, self.metric.of_pair(index))}

    def probes_of(self, index: int) -> probing.Probes:
        """The greedy and an unrelated answer to a pair's prompt."""
        return probing.probes(self.loaded, index, self.config.probe_tokens)

    def _rows(self, batch: Sequence[int]) -> list[RowPair]:
        return [self.loaded.pairs[index] for index in batch]

    def _more(
        self, index: int, gram: PairGram, numbers: tuple[PairLogprobs, PairLogprobs], place: int
    ) -> dict[str, Any]:
        """What is said of a pair beside its inner products and their consequences."""
        pair, (policy, reference), where = self.loaded.pairs[index], numbers, places(gram.parts)
        return {
            "index": index, "where": self.loaded.wheres[index], "metric": self.config.metric,
            "tokens": {"prompt": len(pair.chosen.prompt), "chosen": gram.tokens[0], "rejected": gram.tokens[1],
                       "prefix": gram.prefix_tokens},
            "logprobs": {"chosen": float(policy.chosen[place]), "rejected": float(policy.rejected[place]),
                         "reference_chosen": float(reference.chosen[place]),
                         "reference_rejected": float(reference.rejected[place])},
            "layers": pair_record.by_place(gram, where.layer), "kinds": pair_record.by_place(gram, where.kind),
        }  # fmt: skip

    def _probes(self, batch: Sequence[int], moved: Mapping[str, Tensor]) -> Iterator[Record]:
        for index in (index for index in batch if index < self.config.probes):
            found = self.probes_of(index)
            changes = measuring.along(self.network, found.rows, moved)
            self.work.probes += 1
            yield "probe", str(index), {"index": index, **found.body(changes)}
