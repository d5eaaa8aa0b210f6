"""`springback rebound`: the grid of align and reverse over models, tuners, labels, data and ways of reversing."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common, Flat
from springback.errors import RefusedError
from springback.experiments.audit.config import Audit
from springback.experiments.rebound.config import Axes


def app(  # noqa: PLR0913  what is not an option of the grid itself
    *models: Annotated[str, Parameter(help="Models to begin from: paths, hub ids or aliases; several make an axis.")],
    axes: Flat[Axes] = Axes(),
    config: Flat[Audit] = Audit(),
    quick: Annotated[bool, Parameter(help="One size, fewer samples.")] = False,
    thorough: Annotated[bool, Parameter(help="Three sizes, three seeds: for the night.")] = False,
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Measure how an alignment rebounds, over every axis that might matter; one audit for each combination.

    Every option of `springback audit` holds for all sweeps; an axis (--tuners, --align-mixes, --reverse-mixes,
    --reversals, --methods, several MODELs) makes a sweep of each of its values.
    """
    del quick, thorough  # they have filled in the options before this is called (cli/presets.py)
    asked = config if seed is None else replace(config, seeds=(seed,))
    if asked.base is not None:
        raise RefusedError(
            "A rebound run aligns by itself; --base is for springback audit.", kind="option", where="--base",
            next="Run springback audit MODEL --base BASE.",
        )  # fmt: skip
    from springback.experiments.rebound import outcome, run

    chosen = models or (asked.model,)
    if plan:
        found, lines = run.plan(chosen, axes, asked)
        return Answer({"plan": found}, lines=lines)
    done = run.run_rebound(chosen, axes, asked, out, quiet=common.quiet)
    fine, why = outcome.reportable(done.run)
    page = _pages(done.run.path)
    return Answer(
        outcome.result(done.run, done.work_done, page),
        lines=outcome.lines(done.run, page),
        warnings=[*done.warnings, *([] if fine else [f"not reportable: {why}"])],
        status="done" if fine else "not_reportable",
        run=done.run.path,
    )


def _pages(run: Path) -> str:
    """The run's page and those of its sweeps, written again only where they are missing."""
    from springback.report.page import write_report

    for path in (*sorted((run / "sweeps").iterdir()), run):
        if not (path / "report.html").exists():
            write_report(path)
    return str(run / "report.html")
