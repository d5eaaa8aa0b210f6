"""`springback rebound`: the grid of align and reverse over models, tuners, labels, data and ways of reversing."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import one_seed, page_of
from springback.cli.options import COMMON, Common, Flat
from springback.cli.together import HELP, SHARD, together
from springback.errors import RefusedError
from springback.experiments.audit.config import Audit
from springback.experiments.rebound.config import Axes, default
from springback.parallel.choose import on as on_named


def app(  # noqa: PLR0913  what is not an option of the grid itself
    *models: Annotated[str, Parameter(help="Models to begin from: paths, hub ids or aliases; several make an axis.")],
    axes: Flat[Axes] = Axes(),
    config: Flat[Audit] = Audit(),
    quick: Annotated[bool, Parameter(help="One size, fewer samples.")] = False,
    thorough: Annotated[bool, Parameter(help="Three sizes, three seeds: for the night.")] = False,
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    world: Annotated[int | None, Parameter(help=HELP)] = None,
    shard: Annotated[bool, Parameter(help=SHARD)] = False,
    on: Annotated[str, Parameter(help="Where sweeps run: here, processes:N, or ray[:ADDRESS] (extra `ray`).")] = "here",
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Measure how an alignment rebounds, over every axis that might matter; one audit for each combination.

    Every option of `springback audit` holds for all sweeps; an axis (--tuners, --align-mixes, --reverse-mixes,
    --reversals, --methods, several MODELs) makes a sweep of each of its values.
    """
    del quick, thorough  # they have filled in the options before this is called (cli/presets.py)
    asked = one_seed(config, seed)
    if asked.base is not None:
        told = "A rebound run aligns by itself; --base is for springback audit."
        raise _refused(told, "--base", "Run springback audit MODEL --base BASE.")
    chosen = _chosen(models, asked)
    where = on_named(on)
    from springback.experiments.rebound import engines, outcome, run

    if plan:
        found, lines = run.plan(chosen, axes, asked)
        return Answer({"plan": found}, lines=lines)
    with together(world, asked.device, sharded=shard) as conductor:
        engine = engines.engine(where, conductor)
        done = run.run_rebound(chosen, axes, asked, out, quiet=common.quiet, engine=engine)
    fine, _ = outcome.reportable(done.run)
    page = _pages(done.run.path)
    return Answer(
        outcome.result(done.run, done.work_done, page),
        lines=outcome.lines(done.run, page),
        warnings=[*done.warnings, *outcome.cautions(done.run)],
        status="done" if fine else "not_reportable",
        run=done.run.path,
    )


def _chosen(models: tuple[str, ...], config: Audit) -> tuple[str, ...]:
    if models and config.model != default("model"):
        raise _refused("MODEL was given twice", "--model", "Give MODELs or --model.")
    if models and config.tiny:
        raise _refused("--tiny is a model of its own", "--tiny", "Leave --tiny or the MODELs out.")
    return models or (config.model,)


def _refused(message: str, where: str, todo: str) -> RefusedError:
    return RefusedError(message, kind="option", where=where, next=todo)


def _pages(run: Path) -> str:
    """The run's page, those of its sweeps first: it links to them."""
    for sweep in sorted((run / "sweeps").iterdir()):
        page_of(sweep)
    return page_of(run)
