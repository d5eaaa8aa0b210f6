"""From options to a finished run: find, check, refuse or run, analyse. What can be found without torch is."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.outcome import NOTHING_DONE
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.resist import plan
from springback.experiments.resist.config import Design
from springback.experiments.resist.finish import finish
from springback.experiments.resist.sources import Sources, gather, identity
from springback.experiments.resist.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

if TYPE_CHECKING:
    from springback.experiments.resist.laboratory import ModelLaboratory

PAPERS = ("ji2024elasticity", "hesterberg2015", "ouyang2022instructgpt", "loshchilov2019adamw")


def run_resist(design: Design, out: Path | None, *, quiet: bool = False) -> Finished:
    """Run the experiment, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    path = out or default_dir("resist", asdict(design))
    require_free(path)
    announce(design.audit(), tell)
    sources = gather(design)
    known = identity(sources)
    if (done := Run.finished(path, command="resist", asked=_asked(design), identity=known)) is not None:
        return Finished(done, NOTHING_DONE)
    expected = plan.estimate(design, sources)
    tell(plan.sentence(expected))
    require_room(expected, path, design.audit())
    work = lambda run: _measured(run, design, sources, expected, quiet=quiet)
    about = provenance.about(device=design.device)
    return carried_out(path, work, command="resist", asked=_asked(design), identity=known, about=about)


def _measured(run: Run, design: Design, sources: Sources, expected: Estimate, *, quiet: bool) -> dict[str, int]:
    """All that needs torch."""
    from springback.experiments.resist.laboratory import laboratory

    lab = laboratory(design, sources, run.path / "checkpoints", run.get)
    if "plan" not in run.meta:
        run.note(plan=plan.stated(design, expected), papers=_papers(design, sources), model=_model(lab))
    if run.get("data", "data") is None:
        run.append("data", "data", sources.data.json())
    progress = Progress(plan.units(design, run), expected.seconds_each, say=None if quiet else say)
    for _ in walk(design, run, lab, progress):
        pass
    finish(design, run, lab.weights.moved)
    lab.weights.release()
    return asdict(lab.work)


def _asked(design: Design) -> dict[str, Any]:
    return asdict(design)


def _papers(design: Design, sources: Sources) -> list[str]:
    used = [*PAPERS, *(["hu2022lora"] if design.tuner == "lora" else [])]
    used += [sources.data.paper] if sources.data.paper else []
    return [*used, *(["allal2025smollm2"] if design.model == EMBEDDED and not design.tiny else [])]


def _model(lab: "ModelLaboratory") -> dict[str, Any]:
    told = ("name", "origin", "weights_sha256", "template_sha256", "licence", "context", "notes")
    return {name: getattr(lab.model, name) for name in told} | {"tuner": lab.design.tuner}
