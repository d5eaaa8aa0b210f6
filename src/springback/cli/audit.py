"""`springback audit`: align, reverse, measure, decide; or go on where it stopped."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import one_seed, page_of, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.cli.together import HELP, SHARD, together
from springback.errors import RefusedError
from springback.experiments.audit.config import Audit


def app(  # noqa: PLR0913  what is not an option of the audit itself
    model: Annotated[str | None, Parameter(name="MODEL", help="The model under audit: the same as --model.")] = None,
    /,
    *,
    config: Flat[Audit] = Audit(),
    quick: Annotated[bool, Parameter(help="One size, fewer samples, no guards: a minute and a half.")] = False,
    thorough: Annotated[bool, Parameter(help="Three sizes, three seeds, all layers: for the night.")] = False,
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    world: Annotated[int | None, Parameter(help=HELP)] = None,
    shard: Annotated[bool, Parameter(help=SHARD)] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Measure how deep an alignment goes and how easily it comes back out.

    Without MODEL and data: the embedded model, aligned and reversed on film reviews. With --align: your data, MODEL is
    the start. With --base: MODEL is an aligned model that exists. The presets --quick, --tiny and --thorough fill in
    what you leave open.
    """
    del quick, thorough  # they have filled in the options before this is called (cli/presets.py)
    asked = one_seed(_named(config, model), seed)
    if plan:
        return _planned(asked)
    from springback.experiments.audit import outcome
    from springback.experiments.audit.run import run_audit

    with together(world, asked.device, sharded=shard) as conductor:
        done = run_audit(asked, out, quiet=common.quiet, conductor=conductor)
    fine, why = outcome.reportable(done.run)
    page = page_of(done.run.path)
    return Answer(
        outcome.result(done.run, done.work_done, page),
        lines=outcome.lines(done.run, page),
        warnings=[*done.warnings, *outcome.cautions(done.run), *([] if fine else [f"not reportable: {why}"])],
        status="done" if fine else "not_reportable",
        run=done.run.path,
    )


def _planned(config: Audit) -> Answer:
    from springback.experiments.audit.estimate import estimate
    from springback.experiments.audit.grid import grid
    from springback.experiments.audit.run import announce
    from springback.experiments.audit.sources import gather
    from springback.experiments.running import say

    announce(config, say)
    points = grid(config)
    expected = estimate(config, points, gather(config))
    cells = [point.id for point in points.points()]
    return Answer({"plan": {**expected.json(), "cells": cells}}, lines=planned_lines(expected.sentence(), expected))


def _named(config: Audit, model: str | None) -> Audit:
    if model is None:
        return config
    if config.model != _default("model"):
        raise RefusedError("MODEL was given twice", kind="option", where="--model", next="Give MODEL or --model.")
    return replace(config, model=model)


def _default(name: str) -> object:
    return next(field.default for field in fields(Audit) if field.name == name)
