"""`springback resist`: slices, answers, forward and inverse pairs, verdict; or go on where it stopped."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, one_seed, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.resist.config import Design, Resist, settled


def app(
    *,
    config: Flat[Resist] = Resist(),
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Measure whether a model is tuned back to what it wrote before more easily than on to what it will write.

    The base is tuned on slices of a data set; every model writes answers; every model is tuned on every other one's.
    Held-out excess loss, its floor taken off, is compared between the directions and with the base as a placebo.
    """
    design = settled(one_seed(config, seed))
    if plan:
        return _planned(design)
    from springback.experiments.resist import outcome
    from springback.experiments.resist.run import run_resist

    return answer_of(outcome, run_resist(design, out, quiet=common.quiet))


def _planned(design: Design) -> Answer:
    from springback.experiments.audit.run import announce
    from springback.experiments.resist.plan import estimate, sentence, stated
    from springback.experiments.resist.sources import gather
    from springback.experiments.running import say

    announce(design.audit(), say)
    expected = estimate(design, gather(design))
    return Answer(
        {"plan": {**expected.json(), **stated(design, expected)}}, lines=planned_lines(sentence(expected), expected)
    )
