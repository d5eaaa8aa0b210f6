"""From options to a trained model: find, check, refuse or run, save. What can be found without torch is."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from springback.errors import refused
from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.prefer import offers, plan
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.finish import finish, save_failed
from springback.experiments.prefer.sources import Sources, data_of, gather, identity
from springback.experiments.prefer.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

NOTHING_DONE = {"optimizer_steps": 0, "tokens_trained": 0, "readings": 0}


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
    way = offers.way_of(needs, design)
    return Prepared(design, method, cure, way, gather(design, data, offers.kind_of(needs)))


def run_prefer(design: Design, out: Path | None, *, quiet: bool = False) -> Finished:
    """Train, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
        RuntimeError: a loss or gradient that is not finite; it names the step and where the weights before it lie.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    path = out or default_dir("prefer", asdict(design))
    require_free(path)
    announce(design.audit(), tell)
    prepared = prepare(design)
    known = identity(design, prepared.sources)
    if (done := Run.finished(path, command="prefer", asked=asdict(design), identity=known)) is not None:
        return Finished(done, NOTHING_DONE)
    expected = prepared.expected
    for line in (*(ledger.sentence() for ledger in prepared.sources.ledgers), plan.sentence(expected)):
        tell(line)
    require_room(expected, path, design.audit())
    return carried_out(
        path, lambda run: _trained(run, prepared, quiet=quiet), command="prefer", asked=asdict(design), identity=known,
        about=provenance.about(device=design.device),
    )  # fmt: skip


def _trained(run: Run, prepared: Prepared, *, quiet: bool) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.prefer.bench import bench
    from springback.experiments.prefer.laboratory import ModelLaboratory
    from springback.experiments.prefer.referring import require_fresh
    from springback.fit.loop import NonFiniteError
    from springback.train.preference_step import needs_of

    design, sources = prepared.design, prepared.sources
    ready = bench(design, sources, prepared.way)
    cure = _cure(prepared, ready)
    needs = needs_of(prepared.method) | cure.needs
    require_fresh(design, ready, needs, sources.data.sha256)
    if "plan" not in run.meta:
        run.note(plan=plan.stated(design, sources, prepared.way, prepared.expected), papers=_papers(prepared),
                 model=_model(ready, design), loss=_loss(prepared))  # fmt: skip
    _data(run, sources, ready.ledgers)
    progress = Progress(plan.units(design, sources, prepared.way, run), prepared.expected.seconds_each,
                        say=None if quiet else seldom(say))  # fmt: skip
    lab: ModelLaboratory = _laboratory(run, prepared, ready, cure, progress)
    try:
        for _ in walk(design, run, lab, progress):
            pass
    except NonFiniteError as error:
        kept = save_failed(run, design, lab, error)
        raise RuntimeError(f"{error} They are saved in {kept}.") from error
    finish(run, design, sources, lab)
    if not design.keep_checkpoints:
        lab.release()
    return asdict(lab.work)


def seldom(tell: Callable[[str], None], seconds: float = 5.0) -> Callable[[str], None]:
    """The same, but what comes within so many seconds of the last line is not said."""
    said = [-seconds]

    def speak(line: str) -> None:
        if (now := time.monotonic()) - said[0] >= seconds:
            said[0] = now
            tell(line)

    return speak


def _laboratory(run: Run, prepared: Prepared, ready: Any, cure: Any, progress: Progress) -> Any:
    from springback.experiments.prefer.laboratory import ModelLaboratory, baselines, read_sets
    from springback.experiments.prefer.order import Order
    from springback.experiments.prefer.referring import reference
    from springback.train.preference_step import needs_of

    design, sources = prepared.design, prepared.sources
    order = Order(len(ready.train), design.batch, design.accumulate, design.epochs, design.seed)

    def counted(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            with progress.work("reference", label="reference", units=len(batch) / design.batch):
                yield batch

    sets = read_sets(design, ready, run)
    with progress.work("read", label="reference"):
        bases = baselines(ready, sets)
    needs = needs_of(prepared.method) | cure.needs
    came = reference(design, ready, needs, order, run.path, sources.data.sha256, counted)
    step = _step(design, ready, prepared.method, came, cure)
    return ModelLaboratory(design, ready, order, step, sets, bases, run.path / "checkpoints")


def _cure(prepared: Prepared, ready: Any) -> Any:
    """The cure at work; one that this network does not allow is refused."""
    from springback.train.preference_step import Uncured

    if prepared.cure is None:
        return Uncured()
    try:
        return prepared.cure.begin(ready.model.network, ready.optimizer)
    except ValueError as error:
        raise refused("cure", f"{prepared.design.cure}: {error}") from error


def _step(design: Design, ready: Any, method: Any, came: Any, cure: Any) -> Any:
    from springback.models.tokens import stop_ids
    from springback.train.drawn_answers import Drawn
    from springback.train.preference_step import PreferenceStep, needs_of

    if "samples" not in needs_of(method):
        return PreferenceStep(method, came, cure)
    drawn = Drawn(design.samples, design.max_new_tokens, stop_ids(ready.model), design.seed)
    return PreferenceStep(method, came, cure, draw=drawn)


def _data(run: Run, sources: Sources, ledgers: Iterable[Any]) -> None:
    if run.get("data", "train") is not None:
        return
    with run.together():
        run.append("data", "train", sources.data.json())
        if sources.held is not None:
            run.append("data", "held_out", sources.held.json())
        for number, ledger in enumerate(ledgers):
            run.append("ledger", str(number), ledger.json())


def _papers(prepared: Prepared) -> list[str]:
    design, paper = prepared.design, getattr(prepared.method, "paper", None)
    used = [*([paper.key] if paper else []), "loshchilov2019adamw", "hesterberg2015"]
    used += [prepared.cure.paper.key] if prepared.cure is not None else []
    used += ["hu2022lora"] if design.tuner == "lora" else []
    used += [prepared.sources.data.paper] if prepared.sources.data.paper else []
    return [*used, *(["allal2025smollm2"] if design.model == EMBEDDED and not design.tiny else [])]


def _model(ready: Any, design: Design) -> dict[str, Any]:
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    found = {name: getattr(ready.model, name) for name in told} | {"tuner": design.tuner}
    other = ready.second
    return found | {"reference": None if other is None else {name: getattr(other, name) for name in told}}


def _loss(prepared: Prepared) -> dict[str, Any]:
    from springback.train.preference_step import needs_of

    method = prepared.method
    plain = {each.name: getattr(method, each.name) for each in fields(method)}
    options = {name: value for name, value in plain.items() if isinstance(value, bool | int | float | str)}
    return {"asked": prepared.design.loss, "method": type(method).__name__, "options": options,
            "needs": sorted(needs_of(method))}  # fmt: skip
