"""From options to a finished run: read, check, refuse or train, measure, save. What can be found without torch is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.reward import plan
from springback.experiments.reward.config import Design
from springback.experiments.reward.finish import MODEL, finish
from springback.experiments.reward.sources import Sources, gather, identity
from springback.experiments.reward.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import CHECKPOINTS, Run, default_dir, require_free

if TYPE_CHECKING:
    from springback.experiments.reward.training import Trainer
    from springback.train.reward.centred import Loss

NOTHING_DONE = {"optimizer_steps": 0, "answers_read": 0}
PAPERS = ("guo2017calibration", "hesterberg2015", "loshchilov2019adamw")


def run_reward(design: Design, out: Path | None, *, quiet: bool = False) -> Finished:
    """Train and measure a reward model, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    from springback.train.reward.choose import loss_named

    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    loss = loss_named(design.loss)
    path = out or default_dir("reward", asdict(design))
    require_free(path)
    announce(design.audit(), tell)
    sources = gather(design, needs_margins=loss.needs_margins)
    known = identity(sources)
    done = Run.finished(path, command="reward", asked=asdict(design), identity=known)
    if done is not None and (path / MODEL / "config.json").is_file():
        return Finished(done, NOTHING_DONE)
    expected = plan.estimate(design, sources)
    tell(plan.sentence(expected))
    require_room(expected, path, design.audit())
    work = lambda run: _measured(run, design, sources, loss, expected, quiet=quiet)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="reward", asked=asdict(design), identity=known, about=about)


def _measured(
    run: Run, design: Design, sources: Sources, loss: "Loss", expected: Estimate, *, quiet: bool
) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.reward.training import trainer

    bench = trainer(design, sources, loss, run.path / CHECKPOINTS)
    if "plan" not in run.meta:
        papers = _papers(design, sources, loss)
        run.note(plan=plan.stated(design, sources, expected), papers=papers, model=_model(bench))
    if run.get("data", "data") is None:
        run.append("data", "data", {**sources.json(), "ledgers": [one.json() for one in bench.ledgers]})
    progress = Progress(expected.units, expected.seconds_each, say=None if quiet else say)
    for _ in progress.steps(walk(design, run, bench), examples=design.examples(len(bench.training)), label="reward"):
        pass
    finish(run, bench)
    return bench.work


def _papers(design: Design, sources: Sources, loss: "Loss") -> list[str]:
    used = [loss.paper.key, *PAPERS, *(["hu2022lora"] if design.tuner == "lora" else [])]
    used += [sources.data.paper] if sources.data.paper else []
    return [*used, *(["allal2025smollm2"] if design.model == EMBEDDED and not design.tiny else [])]


def _model(bench: "Trainer") -> dict[str, Any]:
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    return {name: getattr(bench.model.language, name) for name in told} | {"tuner": bench.design.tuner}
