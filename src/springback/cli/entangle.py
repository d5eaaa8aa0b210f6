"""`springback entangle`: which pairs will lower their chosen answer, where it comes from, and what would help."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.experiments.entangle.config import Entangle, settled


def app(
    data: Annotated[
        Path | None, Parameter(help="Preference pairs (default: the film reviews that come along).")
    ] = None,
    *,
    config: Flat[Entangle] = Entangle(),
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Say which preference pairs will lower their chosen answer or raise the rejected one, before training.

    For each pair: the inner products of its two gradients, how hard the loss pulls at each answer, the predicted change
    of both log-probabilities by the pair itself and by its batch, the layers and tokens it comes from, and what every
    loss of the family and every cure would do. --verify takes real steps and compares.
    """
    asked = settled(config)
    if plan:
        return _planned(asked, data)
    from springback.experiments.entangle import outcome
    from springback.experiments.entangle.run import run_entangle

    found = run_entangle(asked, data, out, quiet=common.quiet)
    answer = answer_of(outcome, found.done)
    if found.filtered is None:
        return answer
    kept = found.filtered
    line = f"filter: {kept.kept} of {kept.rows} rows pass ({kept.rule}): {kept.file}; the others: {kept.ledger}"
    return replace(answer, result={**answer.result, "filter": kept.json()}, lines=[*answer.lines, line])


def _planned(config: Entangle, data: Path | None) -> Answer:
    from springback.experiments.audit.run import announce, say
    from springback.experiments.entangle.plan import estimate, sentence, stated
    from springback.experiments.entangle.sources import gather

    announce(config.audit(), say)
    sources = gather(config, data)
    expected = estimate(config, sources)
    return Answer(
        {"plan": {**expected.json(), **stated(config, expected, len(sources.pairs))}},
        lines=planned_lines(sentence(expected), expected),
    )
