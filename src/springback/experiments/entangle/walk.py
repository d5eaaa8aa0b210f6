"""Batch by batch through the pairs, then the steps of --verify, then tokens; resume at the batch.

Knows neither torch nor models: a `Laboratory` does the work, so a stand-in of known law can take its place. All that a
batch gives is stored in one transaction, its `batch` record last; what is stored is never done again.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.progress import Progress
from springback.experiments.entangle.config import Entangle
from springback.store.run import Run

Record = tuple[str, str, Mapping[str, Any]]
"""Kind, key and body of one record."""
Reference = Mapping[str, Sequence[float]]
"""`chosen` and `rejected`: log-probabilities under the reference, nats, in the order of the batch."""


@runtime_checkable
class Laboratory(Protocol):
    """What the experiment needs of a model. Every method is deterministic."""

    def reference(self, batch: Sequence[int]) -> Reference:
        """Log-probabilities of the batch's pairs under the reference model."""
        ...

    def forget_reference(self) -> None:
        """The reference model is not asked again."""

    def batch(self, number: int, batch: Sequence[int], reference: Reference | None) -> Iterable[Record]:
        """`pair` and `probe` records of the batch, and its `batch` record last."""
        ...

    def steps(
        self, number: int, batch: Sequence[int], held_out: Sequence[int], rate: float, reference: Reference | None
    ) -> Mapping[str, Any]:
        """Body of a `step`: a real step on the batch, what was predicted of it and what it did."""
        ...

    def tokens(self, index: int) -> Mapping[str, Any]:
        """Body of a `tokens` record: which tokens of a pair carry its inner product."""
        ...

    def matrix(self, index: int) -> Mapping[str, Any]:
        """Body of a `matrix` record: the inner product of every chosen with every rejected token."""
        ...


def walk(config: Entangle, batches: Sequence[Sequence[int]], run: Run, lab: Laboratory, progress: Progress) -> None:
    """Whatever is not stored yet."""
    if config.reference is not None:
        _references(batches, run, lab, progress)
    for number, batch in enumerate(batches):
        if run.get("batch", str(number)) is None:
            _batch(number, batch, run, lab, progress)
    for number, rate in steps_of(config, len(batches)):
        if run.get("step", f"{number}/{rate:g}") is None:
            _step(number, batches, rate, run, lab, progress)
    for index, side in shown(config, run):
        if run.get("tokens", str(index)) is None:
            _store(
                run, progress, "tokens", str(index), lambda index=index, side=side: {"side": side, **lab.tokens(index)}
            )
    for index, _ in shown(config, run)[: config.matrix]:
        if run.get("matrix", str(index)) is None:
            _store(run, progress, "matrix", str(index), lambda index=index: lab.matrix(index))


def steps_of(config: Entangle, batches: int) -> list[tuple[int, float]]:
    """(batch, learning rate) of every step of --verify."""
    if not config.verify:
        return []
    return [(number, rate) for number in range(min(config.verify_batches, batches)) for rate in config.rates]


def held_out(number: int, batches: Sequence[Sequence[int]]) -> Sequence[int]:
    """The pairs that a step on this batch is also measured on: the next batch; none where there is one batch only."""
    return batches[(number + 1) % len(batches)] if len(batches) > 1 else []


def shown(config: Entangle, run: Run) -> list[tuple[int, str]]:
    """Pairs whose tokens are read, with their side: the worst first (the chosen answer falls most), then the best."""
    pairs = [body for body in run.read("pair").values() if body["condition"] != "cannot_move"]
    ranked = [body["index"] for body in sorted(pairs, key=lambda body: (body["chosen_change"], body["index"]))]
    worst = ranked[: max(min(config.shown, -(-len(ranked) // 2)), config.matrix)]
    best = [index for index in ranked[::-1][: config.shown] if index not in worst]
    return [*((index, "worst") for index in worst), *((index, "best") for index in best)]


def reference_of(run: Run, number: int) -> Reference | None:
    """What the reference model said of a batch; None where the model is its own reference."""
    body = run.get("reference", str(number))
    return body and {side: body[side] for side in ("chosen", "rejected")}


def _references(batches: Sequence[Sequence[int]], run: Run, lab: Laboratory, progress: Progress) -> None:
    for number, batch in enumerate(batches):
        if run.get("reference", str(number)) is None:
            _store(
                run, progress, "reference", str(number), lambda batch=batch: {"pairs": [*batch], **lab.reference(batch)}
            )
    lab.forget_reference()


def _batch(number: int, batch: Sequence[int], run: Run, lab: Laboratory, progress: Progress) -> None:
    began = time.monotonic()
    with progress.work("pair", label=f"batch {number}", units=float(len(batch))):
        found = list(lab.batch(number, batch, reference_of(run, number)))
    with run.together():
        for kind, key, body in found:
            cost = {"seconds": time.monotonic() - began} if kind == "batch" else None
            run.append(kind, key, body, cost=cost)


def _step(
    number: int, batches: Sequence[Sequence[int]], rate: float, run: Run, lab: Laboratory, progress: Progress
) -> None:
    apart, reference = held_out(number, batches), reference_of(run, number)
    made = lambda: lab.steps(number, batches[number], apart, rate, reference)
    _store(run, progress, "step", f"{number}/{rate:g}", made)


def _store(run: Run, progress: Progress, kind: str, key: str, made: Callable[[], Mapping[str, Any]]) -> None:
    began = time.monotonic()
    with progress.work(kind, label=key):
        body = made()
    run.append(kind, key, body, cost={"seconds": time.monotonic() - began})
