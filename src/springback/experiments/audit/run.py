"""From options to a finished run: find, check, refuse or run, analyse. What can be found without torch is."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from springback.experiments.audit import outcome
from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.audit.estimate import Estimate, estimate, left, require_room
from springback.experiments.audit.grid import Grid, grid
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.sources import Sources, gather, identity
from springback.experiments.running import Finished, carried_out, say
from springback.judge.choose import choose
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free


@runtime_checkable
class Conductor(Protocol):
    """Of several processes that compute one audit together, the first; `experiments/audit/ranks.py` has it."""

    @property
    def size(self) -> int:
        """How many processes there are."""
        ...

    def require(self, config: Audit, expected: Estimate) -> None:
        """Refuse what several processes cannot do, or have no room for."""

    def lead(self, config: Audit, lab: Any, folder: Path) -> Any:
        """The laboratory whose training all processes share, once all of them have theirs."""
        ...


def run_audit(config: Audit, out: Path | None, *, quiet: bool = False, conductor: Conductor | None = None) -> Finished:
    """Run the audit, or go on with it, or find that it is done.

    `conductor`: where several processes train together, of which this is the first.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    tell = (lambda _: None) if quiet else say
    path = out or default_dir("audit", asdict(config))
    require_free(path)
    announce(config, tell)
    sources = gather(config)
    plan = grid(config)
    known = identity(sources)
    if (done := Run.finished(path, command="audit", asked=_asked(config), identity=known)) is not None:
        return Finished(done, outcome.NOTHING_DONE)
    _reversible(config)
    expected = estimate(config, plan, sources)
    tell(expected.sentence())
    require_room(expected, path, config)
    if conductor is not None:
        conductor.require(config, expected)
    return _carry_out(config, path, sources, plan, known, expected, quiet=quiet, conductor=conductor)


def _reversible(config: Audit) -> None:
    """A way of tuning that is not there is refused before anything is written."""
    from springback.experiments.audit.ways import ways_of

    ways_of(config)


def announce(config: Audit, tell: Any) -> None:
    """Say what will be fetched, and fetch the embedded model, for nobody should type a second command for the first."""
    from springback.models import pull
    from springback.models.aliases import ALIASES, is_ready

    alias = ALIASES.get(config.model)
    if config.tiny or alias is None or is_ready(alias) or config.model != EMBEDDED:
        return
    tell(pull.announcement(alias))
    pull.pull(config.model)


def _carry_out(  # noqa: PLR0913  one for each thing that was found before
    config: Audit,
    path: Path,
    sources: Sources,
    plan: Grid,
    known: Mapping[str, Any],
    expected: Estimate,
    *,
    quiet: bool,
    conductor: Conductor | None,
) -> Finished:
    about = provenance.about(device=config.device, **({"world": conductor.size} if conductor else {}))
    work = lambda run: _measured(run, config, sources, plan, expected, quiet=quiet, conductor=conductor)
    return carried_out(path, work, command="audit", asked=_asked(config), identity=known, about=about)


def _measured(
    run: Run,
    config: Audit,
    sources: Sources,
    plan: Grid,
    expected: Estimate,
    *,
    quiet: bool,
    conductor: Conductor | None,
) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.audit import finish
    from springback.experiments.audit.workbench import laboratory, prepare

    shared = sources.shared
    named = None if config.score == "classifier" else config.score
    scorer = choose(named, fit=shared.scorer_fit, held_out=shared.scorer_held_out, why=shared.scorer_why)
    prepared = prepare(config, sources, scorer)
    if "plan" not in run.meta:
        papers = finish.papers(config, sources.dataset)
        run.note(plan=finish.plan(config, plan, expected), papers=papers, **finish.facts(prepared, config))
    finish.fixed_records(run, prepared, sources.dataset, config, shared.measuring)
    lab = laboratory(config, plan, prepared, run.path / "checkpoints")
    if conductor is not None:
        lab = conductor.lead(config, lab, run.path / "checkpoints")
    progress = Progress(left(expected, run, plan), expected.seconds_each, say=None if quiet else say)
    finish.measure(run, config, plan, lab, progress)
    if not config.keep_checkpoints:
        lab.weights.release()
    return asdict(lab.work)


def _asked(config: Audit) -> dict[str, Any]:
    return asdict(config)
