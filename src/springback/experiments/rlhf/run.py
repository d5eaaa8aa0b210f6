"""From options to a finished run: find, check, refuse or run, analyse. What can be found without torch is."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.experiments.audit.config import EMBEDDED, Audit
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.rlhf import plan
from springback.experiments.rlhf.config import Design
from springback.experiments.rlhf.finish import finish
from springback.experiments.rlhf.outcome import MODEL, NOTHING_DONE
from springback.experiments.rlhf.sources import Sources, gather, identity
from springback.experiments.rlhf.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

if TYPE_CHECKING:
    from springback.experiments.rlhf.laboratory import ModelLaboratory

PAPERS = ("ouyang2022instructgpt", "hesterberg2015", "loshchilov2019adamw")


def run_rlhf(prompts: Path | None, design: Design, out: Path | None, *, quiet: bool = False) -> Finished:
    """Run the training, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
        StoppedError: a reward that fails on the way; the run stays, and the same command goes on.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    asked = {"prompts_file": str(prompts) if prompts else None, **asdict(design)}
    path = out or default_dir("rlhf", asked)
    require_free(path)
    announce(as_audit(design), tell)
    sources = gather(prompts, design)
    known = identity(sources)
    done = Run.finished(path, command="rlhf", asked=asked, identity=known)
    if done is not None and (path / MODEL / "config.json").is_file():
        return Finished(done, NOTHING_DONE)
    expected = checked_plan(design, sources)
    tell(plan.sentence(expected))
    require_room(expected, path, as_audit(design))
    work = lambda run: _trained(run, design, sources, expected, quiet=quiet)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="rlhf", asked=asked, identity=known, about=about)


def checked_plan(design: Design, sources: Sources) -> Estimate:
    """What it would take, once the method is known to be one."""
    from springback.experiments.rlhf.laboratory import method_of

    method_of(design)
    return plan.estimate(design, sources)


def _trained(run: Run, design: Design, sources: Sources, expected: Estimate, *, quiet: bool) -> dict[str, int]:
    """All that needs torch."""
    from springback.experiments.rlhf.laboratory import laboratory
    from springback.train.policy.choose import stated

    lab = laboratory(design, sources, run.path / "checkpoints")
    if "plan" not in run.meta:
        method = {"name": design.method.partition(":")[0], **stated(lab.method)}
        run.note(plan=plan.stated(design, expected), papers=_papers(design, lab), model=_model(lab), method=method)
    progress = Progress(plan.units(design, sources, run), expected.seconds_each, say=None if quiet else say)
    for _ in walk(design, run, lab, progress):
        pass
    if run.get("data", "data") is None:
        run.append("data", "data", sources.json())
    finish(design, run)
    lab.policy.write(run.path / MODEL)
    lab.policy.release()
    return asdict(lab.work)


def _papers(design: Design, lab: "ModelLaboratory") -> list[str]:
    used = [*PAPERS, lab.method.paper.key, *(["schulman2016gae"] if "values" in lab.method.needs else [])]
    used += ["hu2022lora"] if design.tuner == "lora" else []
    return [*used, *(["allal2025smollm2"] if design.model == EMBEDDED and not design.tiny else [])]


def _model(lab: "ModelLaboratory") -> dict[str, Any]:
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    return {name: getattr(lab.policy.model, name) for name in told} | {"tuner": lab.design.tuner}


def as_audit(design: Design) -> Audit:
    """The part of a design that fetching and memory look at."""
    return replace(
        Audit(), model=design.model, tuner=design.tuner, device=design.device, dtype=design.dtype, tiny=design.tiny
    )
