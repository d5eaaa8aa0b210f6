"""`springback prefer`: preference data in, a trained model out; or go on where it stopped."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.cli.together import HELP, together
from springback.experiments.prefer.config import Design, Prefer, settled


def app(
    data: Path | None = None,
    *,
    config: Flat[Prefer] = Prefer(),
    plan: Annotated[bool, Parameter(help="Say what it would take, and train nothing.")] = False,
    world: Annotated[int | None, Parameter(help=HELP)] = None,
    shard: Annotated[bool, Parameter(help="Refused: preference training knows whole models only.")] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Train a model on preferences by any loss of the family, and watch both log-probabilities.

    DATA holds pairs (prompt, chosen, rejected; text, messages, conversations or HH-RLHF transcripts), ranked or scored
    answers (prompt, completions), or labelled ones (prompt, completion, label), as JSON lines, a JSON array or Parquet.
    The trained model lies in the run's directory in Hugging Face format.

    Args:
        data: File of preference data; default: film reviews, positive ones chosen.
    """
    design = settled(config, data)
    if design.self_play:
        return _played(design, out, common, alone=not plan and world is None)
    if plan:
        return _planned(design)
    from springback.experiments.prefer import outcome
    from springback.experiments.prefer.run import run_prefer

    with together(world, design.device, sharded=shard, of="prefer") as conductor:
        done = run_prefer(design, out, quiet=common.quiet, conductor=conductor)
    return answer_of(outcome, done)


def _played(design: Design, out: Path | None, common: Common, *, alone: bool) -> Answer:
    from springback.errors import refused
    from springback.experiments.prefer import played
    from springback.experiments.prefer.self_play import run_self_play

    if not alone:
        raise refused("self_play", "has no --plan and no --world: its rounds are trained one after the other")
    return answer_of(played, run_self_play(design, out, quiet=common.quiet))


def _planned(design: Design) -> Answer:
    from springback.experiments.audit.run import announce
    from springback.experiments.prefer.plan import sentence, stated
    from springback.experiments.prefer.preparing import prepare
    from springback.experiments.running import say

    announce(design.audit(), say)
    found = prepare(design)
    told = stated(design, found.sources, found.way, found.expected)
    ledgers = [ledger.sentence() for ledger in found.sources.ledgers]
    lines = [*planned_lines(sentence(found.expected), found.expected), *(f"  {line}" for line in ledgers)]
    return Answer({"plan": {**found.expected.json(), **told}}, lines=lines)
