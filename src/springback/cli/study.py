"""`springback study entanglement`: losses × cures × data × seeds, predicted and measured; or go on where it stopped."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, one_seed
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.study.config import Study


def app(
    study: Literal["entanglement"],
    *,
    config: Flat[Study] = Study(),
    quick: Annotated[bool, Parameter(help="Two data sets, seven methods, one seed, twelve pairs each.")] = False,
    plan: Annotated[bool, Parameter(help="Say what it would take, and train nothing.")] = False,
    seed: Annotated[int | None, Parameter(help="One seed: the same as --seeds N.")] = None,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Train losses and cures side by side, and compare what was predicted with what happened.

    Every combination of data, loss, cure and seed is a training by `springback prefer`, in the run's directory. Before
    it, the inner products of its pairs say which answers will move which way; after it, both log-probabilities are read
    on held-out pairs. The tables: which loss moves which log-probability, whether it was predicted, and what each cure
    costs in margin.

    Args:
        study: What is studied; there is one study.
    """
    del quick, study  # quick has filled in the options before this is called (cli/presets.py)
    asked = one_seed(config, seed)
    from springback.experiments.study import outcome, run

    if plan:
        told, lines = run.planned(asked)
        return Answer({"plan": told}, lines=lines)
    return answer_of(outcome, run.run_study(asked, out, quiet=common.quiet))
