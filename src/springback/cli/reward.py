"""`springback reward`: a reward model from preferences, measured on held-out ones; or go on where it stopped."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.reward.config import Design, Reward, settled


def app(
    data: str | None = None,
    *,
    config: Flat[Reward] = Reward(),
    plan: Annotated[bool, Parameter(help="Say what it would take, and train nothing.")] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Train a reward model on preferences and measure it on held-out ones.

    Accuracy, calibration and length bias come with intervals. The model is saved as
    AutoModelForSequenceClassification in the run's folder `model`.

    Args:
        data: File of pairs or ranked answers (default: film reviews, the positive one better).
    """
    design = settled(config, data)
    if plan:
        return _planned(design)
    from springback.experiments.reward import outcome
    from springback.experiments.reward.run import run_reward

    return answer_of(outcome, run_reward(design, out, quiet=common.quiet))


def _planned(design: Design) -> Answer:
    from springback.experiments.audit.run import announce
    from springback.experiments.reward.plan import estimate, sentence, stated
    from springback.experiments.reward.sources import gather
    from springback.experiments.running import say
    from springback.train.reward.choose import loss_named

    loss = loss_named(design.loss)
    announce(design.audit(), say)
    sources = gather(design, needs_margins=loss.needs_margins)
    expected = estimate(design, sources)
    found = {**expected.json(), **stated(design, sources, expected)}
    return Answer({"plan": found}, lines=planned_lines(sentence(expected), expected))
