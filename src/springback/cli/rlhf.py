"""`springback rlhf`: write, reward, learn; or go on where it stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from springback.cli.answer import Answer
from springback.cli.finished import answer_of, page_of, planned_lines
from springback.cli.options import COMMON, Common, Flat
from springback.errors import RefusedError
from springback.experiments.rlhf.config import Design, Rlhf, settled

if TYPE_CHECKING:
    from springback.experiments.rlhf.stages import Line


def app(
    prompts: Annotated[Path | None, Parameter(help="File of prompts: JSONL rows, or text, a prompt a line.")] = None,
    *,
    config: Flat[Rlhf] = Rlhf(),
    stages: Annotated[
        tuple[str, ...],
        Parameter(help="sft,reward,ppo: PROMPTS is a file of preferences; imitate, learn a reward, then the method."),
    ] = (),
    rounds: Annotated[int, Parameter(help="With --stages: turns of reward model and policy, against each other.")] = 1,
    plan: Annotated[bool, Parameter(help="Say what it would take, and run nothing.")] = False,
    out: Annotated[Path | None, Parameter(help="Directory of the run; a run found there goes on.")] = None,
    common: Common = COMMON,
) -> Answer:
    """Train a model on its own answers, by a reward.

    It writes several answers to each prompt, they are rewarded, and a policy method learns from them, step after step.
    Held-out prompts are answered before and after; an alarm says where the reward may be gamed.
    """
    if stages:
        from springback.experiments.rlhf.stages import line_of

        return _staged(prompts, line_of(stages, config, rounds), out, common, plan=plan)
    if rounds != 1:
        raise RefusedError("--rounds are turns of the stages", kind="option", where="--rounds", next="add --stages")
    design = settled(config)
    if plan:
        return _planned(prompts, design)
    from springback.experiments.rlhf import outcome
    from springback.experiments.rlhf.run import run_rlhf

    return answer_of(outcome, run_rlhf(prompts, design, out, quiet=common.quiet))


def _planned(prompts: Path | None, design: Design) -> Answer:
    from springback.experiments.rlhf.plan import sentence, stated
    from springback.experiments.rlhf.run import checked_plan
    from springback.experiments.rlhf.sources import gather

    expected = checked_plan(design, gather(prompts, design))
    found = {**expected.json(), **stated(design, expected)}
    return Answer({"plan": found}, lines=planned_lines(sentence(expected), expected))


def _staged(file: Path | None, line: "Line", out: Path | None, common: Common, *, plan: bool) -> Answer:
    from springback.errors import refused
    from springback.experiments.rlhf import outcome
    from springback.experiments.rlhf.stages import run_stages
    from springback.store.run import Run

    if plan:
        raise refused("plan", "says what one stage would take, not a pipeline", "ask `springback reward … --plan`")
    if file is None:
        raise refused("stages", "need a file of preferences", "give FILE")
    done = run_stages(file, line, out, quiet=common.quiet)
    last = Run.look(done.run.path / line.names[-1])
    page = [page_of(done.run.path / name) for name in line.names if name != "sft"][-1]  # `sft` has none of its own
    page_of(done.run.path)
    return Answer(
        outcome.staged(done.run, done.work_done, page),
        lines=outcome.staged_lines(done.run, page),
        warnings=[*done.warnings, *outcome.doubts(last)],
        status="not_reportable" if outcome.failed(last) else "done",
        run=done.run.path,
    )
