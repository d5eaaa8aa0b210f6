"""`springback toy`: pretrain, align and reverse a tiny transformer, score every string, settle what the theory says."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import page_of
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.toy.config import Toy


def app(
    *,
    config: Flat[Toy] = Toy(),
    thorough: Annotated[bool, Parameter(help="Three volumes, three mixes, five seeds: some minutes.")] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Which predictions of elasticity survive gradient training, on strings short enough to score them all.

    A small transformer is pretrained on three sources, aligned on the second, reversed on the third. Beside it stand a
    placebo alignment, the reversal of the base itself, and the count mixture of theorem 4.2.
    """
    del thorough  # it has filled in the options before this is called (cli/presets.py)
    from springback.experiments.toy import outcome
    from springback.experiments.toy.run import run_toy

    done = run_toy(config, out, quiet=common.quiet)
    page = page_of(done.run.path)
    warnings = [*done.run.warnings, *_few(config)]
    return Answer(
        outcome.result(done.run, done.work_done, page),
        lines=outcome.lines(done.run, page),
        warnings=warnings,
        run=done.run.path,
    )


def _few(config: Toy) -> list[str]:
    return [] if len(config.seeds) >= 3 else ["fewer than 3 seeds: nothing is decided, for intervals are over seeds"]
