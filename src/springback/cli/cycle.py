"""`springback cycle`: text, alignment, reversal, re-alignment, and how long each lasts; or go on where it stopped."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, one_seed, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.cycle.config import Cycle


def app(
    *,
    config: Flat[Cycle] = Cycle(),
    quick: Annotated[bool, Parameter(help="Fewer sizes, samples and pairs, one placebo.")] = False,
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Take a model through its life cycle, and measure how long each stage lasts.

    Four stages on one chain: pretraining-like text, alignment, reversal, re-alignment. For each, what it gains and the
    half-life of that under the stages that follow; and whether re-alignment is quicker than the first alignment.
    """
    del quick  # it has filled in the options before this is called (cli/presets.py)
    asked = one_seed(config, seed)
    if plan:
        return _planned(asked)
    from springback.experiments.cycle import outcome
    from springback.experiments.cycle.run import run_cycle

    return answer_of(outcome, run_cycle(asked, out, quiet=common.quiet))


def _planned(config: Cycle) -> Answer:
    from springback.experiments.audit.run import announce
    from springback.experiments.cycle.chain import course
    from springback.experiments.cycle.plan import estimate, sentence, stated
    from springback.experiments.cycle.sources import gather
    from springback.experiments.running import say

    announce(config.audit(), say)
    stages = course(config)
    expected = estimate(config, stages, gather(config))
    found = {**expected.json(), **stated(config, stages, expected)}
    return Answer({"plan": found}, lines=planned_lines(sentence(stages, expected), expected))
