"""From options to a trained model: find, check, refuse or run, save. What can be found without torch is."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit.estimate import require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.prefer import facts, plan
from springback.experiments.prefer.config import Design
from springback.experiments.prefer.finish import finish, save_failed
from springback.experiments.prefer.preparing import Prepared, prepare
from springback.experiments.prefer.sources import identity
from springback.experiments.prefer.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

NOTHING_DONE = {"optimizer_steps": 0, "tokens_trained": 0, "readings": 0}


@runtime_checkable
class Conductor(Protocol):
    """Of several processes that train one model together, the first; `experiments/prefer/ranks.py` has it."""

    @property
    def size(self) -> int:
        """How many processes there are."""
        ...

    @property
    def group(self) -> Any:
        """All of them."""
        ...

    def require(self, prepared: Prepared) -> None:
        """Refuse what several processes cannot do, or have no room for."""

    def gather(self, design: Design, folder: Path, places: Sequence[int] | None) -> None:
        """All others load model and data; RefusedError where one cannot. `places`: the rows that a filter has left."""

    def lead(self, lab: Any) -> Any:
        """The laboratory whose training all processes share."""
        ...


def run_prefer(
    design: Design, out: Path | None, *, quiet: bool = False, conductor: Conductor | None = None
) -> Finished:
    """Train, or go on with it, or find that it is done.

    `conductor`: where several processes train together, of which this is the first.

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
    if conductor is not None:
        conductor.require(prepared)
    about = provenance.about(device=design.device, **({"world": conductor.size} if conductor else {}))
    return carried_out(
        path, lambda run: _trained(run, prepared, conductor, quiet=quiet), command="prefer", asked=asdict(design),
        identity=known, about=about,
    )  # fmt: skip


def _trained(run: Run, prepared: Prepared, conductor: Conductor | None, *, quiet: bool) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.prefer.assembly import Assembly, at_work
    from springback.experiments.prefer.bench import bench
    from springback.experiments.prefer.embedded import require_block
    from springback.experiments.prefer.filtering import filtered
    from springback.fit.loop import NonFiniteError

    design, sources = prepared.design, prepared.sources
    ready = bench(design, sources, prepared.way)
    require_block(ready.model.network, prepared.method)
    cure = at_work(prepared, ready)
    Assembly(prepared, ready, cure, run.path).referring.require_fresh()
    if "plan" not in run.meta:
        run.note(plan=plan.stated(design, sources, prepared.way, prepared.expected), papers=facts.papers(prepared),
                 model=facts.model(ready, design), loss=facts.loss(prepared))  # fmt: skip
    facts.store_data(run, sources, ready.ledgers)
    progress = Progress(plan.units(design, sources, prepared.way, run), prepared.expected.seconds_each,
                        say=None if quiet else seldom(say))  # fmt: skip
    ready = filtered(run, design, ready, prepared.method, progress)
    lab = _laboratory(run, Assembly(prepared, ready, cure, run.path), progress, conductor)
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


def _laboratory(run: Run, assembly: Any, progress: Progress, conductor: Conductor | None) -> Any:
    from springback.experiments.prefer.laboratory import ModelLaboratory, baselines, read_sets

    design, ready = assembly.prepared.design, assembly.bench
    if conductor is not None:
        conductor.gather(design, run.path, ready.places)

    def counted(batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            with progress.work("reference", label="reference", units=len(batch) / design.batch):
                yield batch

    sets = read_sets(design, ready, run)
    with progress.work("read", label="reference"):
        bases = baselines(ready, sets)
    came = assembly.referring.reference(counted, conductor.group if conductor else None)
    lab = ModelLaboratory(
        design, ready, assembly.order, assembly.step(came), sets, bases, assembly.checkpoints
    )  # fmt: skip
    return conductor.lead(lab) if conductor else lab
