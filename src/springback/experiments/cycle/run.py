"""From options to a finished cycle: find, check, refuse or run, analyse. What can be found without torch is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from springback.experiments.audit import finish
from springback.experiments.audit.config import EMBEDDED
from springback.experiments.audit.estimate import Estimate, require_room
from springback.experiments.audit.outcome import NOTHING_DONE
from springback.experiments.audit.progress import Progress
from springback.experiments.audit.run import announce
from springback.experiments.cycle import plan
from springback.experiments.cycle.analyse import analyse
from springback.experiments.cycle.chain import Course, course, start
from springback.experiments.cycle.config import Cycle
from springback.experiments.cycle.readings import Readings
from springback.experiments.cycle.sources import Sources, gather, identity
from springback.experiments.cycle.walk import walk
from springback.experiments.running import Finished, carried_out, say
from springback.judge.choose import choose
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free

if TYPE_CHECKING:
    from springback.experiments.cycle.laboratory import ModelLaboratory

PAPERS = ("ji2024elasticity", "hesterberg2015", "ouyang2022instructgpt", "loshchilov2019adamw")


def run_cycle(config: Cycle, out: Path | None, *, quiet: bool = False) -> Finished:
    """Run the cycle, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else say
    path = out or default_dir("cycle", asdict(config))
    require_free(path)
    announce(config.audit(), tell)
    sources, stages = gather(config), course(config)
    known = identity(sources)
    if (done := Run.finished(path, command="cycle", asked=asdict(config), identity=known)) is not None:
        return Finished(done, NOTHING_DONE)
    expected = plan.estimate(config, stages, sources)
    tell(plan.sentence(stages, expected))
    require_room(expected, path, config.audit())
    work = lambda run: _measured(run, config, stages, sources, expected, quiet=quiet)
    about = provenance.about(device=config.device)
    return carried_out(path, work, command="cycle", asked=asdict(config), identity=known, about=about)


def _measured(
    run: Run, config: Cycle, stages: Course, sources: Sources, expected: Estimate, *, quiet: bool
) -> Mapping[str, int]:
    """All that needs torch."""
    from springback.experiments.cycle.laboratory import laboratory, prepare

    shared = sources.audit.shared
    named = None if config.score == "classifier" else config.score
    scorer = choose(named, fit=shared.scorer_fit, held_out=shared.scorer_held_out, why=shared.scorer_why)
    prepared, rows = prepare(config, sources, scorer)
    if "plan" not in run.meta:
        facts = finish.facts(prepared, config.audit())
        run.note(plan=plan.stated(config, stages, expected), papers=_papers(config, sources), **facts)
    finish.fixed_records(run, prepared, sources.dataset, config.audit(), shared.measuring)
    lab = laboratory(config, stages, prepared, rows, run.path / "checkpoints")
    progress = Progress(plan.units(stages, run), expected.seconds_each, say=None if quiet else say)
    for _ in walk(stages, run, lab, progress):
        pass
    _finish(run, config, stages, lab)
    lab.weights.release()
    return asdict(lab.work)


def _finish(run: Run, config: Cycle, stages: Course, lab: "ModelLaboratory") -> None:
    if run.get("verdict", "verdict") is not None:
        return
    readings = Readings(stages, run.read)
    with run.together():
        run.append("accounting", "accounting", _accounting(run, config, stages, lab))
        for kind, key, body in analyse(readings, config.arms):
            run.append(kind, key, body)


def _accounting(run: Run, config: Cycle, stages: Course, lab: "ModelLaboratory") -> dict[str, Any]:
    """What was planned and what became of it, and which checks held."""
    cells = run.read("cell")
    planned = len(list(stages.points()))
    samples = run.read("sample").values()
    return {
        "cells": {"planned": planned, "done": len(cells), "failed": 0, "skipped": planned - len(cells)},
        "samples_empty": sum(not body["answer"].strip() for body in samples),
        "degenerate": {name: body["state"]["why"] for name, body in cells.items()
                       if body["state"]["name"] == "degenerate"},
        "checks": list(_checks(cells, config, lab)),
    }  # fmt: skip


def _checks(cells: Mapping[str, Mapping[str, Any]], config: Cycle, lab: "ModelLaboratory") -> list[dict[str, str]]:
    starts = [cells[start(seed).id] for seed in config.seeds]
    exact = all(cell["kl_from_start"]["estimate"] == cell["kl_to_start"]["estimate"] == 0 for cell in starts)
    found = [_check("the first cell equals the untouched model exactly", exact, "KL both ways is exactly 0")]
    if (moved := lab.weights.moved) is not None:
        stuck = ", ".join(f"{one.name} ({one.why})" for one in moved.stuck[:3])
        found.append(_check("every trainable tensor moved in the first steps", moved.ok, stuck or "all moved"))
    return found


def _check(name: str, holds: bool, why: str) -> dict[str, str]:  # noqa: FBT001
    return {"name": name, "outcome": "pass" if holds else "fail", "why": why}


def _papers(config: Cycle, sources: Sources) -> list[str]:
    used = [*PAPERS, *(["hu2022lora"] if config.tuner == "lora" else [])]
    used += [sources.dataset.paper] if sources.dataset.paper else []
    return [*used, *(["allal2025smollm2"] if config.model == EMBEDDED and not config.tiny else [])]
