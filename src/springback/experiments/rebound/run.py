"""From axes to a finished run: every sweep is an audit in a directory of its own, then all are read together.

A sweep that is complete is not run again; one that was interrupted goes on where it stopped. The run's own records are
made from those of its sweeps, in one transaction, when the last one is there.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from springback.experiments.audit import outcome as audit_outcome
from springback.experiments.audit.config import Audit
from springback.experiments.audit.estimate import estimate, gib, require_room
from springback.experiments.audit.grid import grid
from springback.experiments.audit.run import announce
from springback.experiments.audit.sources import Sources, gather, identity
from springback.experiments.rebound.analyse import analyse
from springback.experiments.rebound.config import RANK, WAYS, Axes, Sweep, asked, default, sweeps
from springback.experiments.rebound.engines import here
from springback.experiments.rebound.order import Engine, Order, place
from springback.experiments.rebound.readings import Swept
from springback.experiments.running import Finished, carried_out, say
from springback.store import provenance
from springback.store.run import Run, default_dir, require_free


def run_rebound(
    models: tuple[str, ...], axes: Axes, audit: Audit, out: Path | None, *, quiet: bool = False, engine: Engine = here
) -> Finished:
    """Run the grid, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    planned, question = sweeps(models, axes, audit), asked(models, axes, audit)
    path = out or default_dir("rebound", question)
    require_free(path)
    sources = _sources(planned, quiet=quiet)
    known = {name: hashes for name, (_, hashes) in sources.items()}
    if (done := Run.finished(path, command="rebound", asked=question, identity=known)) is not None:
        return Finished(done, audit_outcome.NOTHING_DONE)
    memory = _possible(planned, {name: found for name, (found, _) in sources.items()}, path)
    about = provenance.about(device=audit.device)

    def work(run: Run) -> Mapping[str, int]:
        run.note(plan={"sweeps": [_told(sweep) for sweep in planned], "cells": _cells(planned)})
        done = engine(Order(sweeps=planned, path=path, quiet=quiet, identity=known, memory=memory))
        sizes = {sweep.audit.model: start.parameters for sweep in planned if (start := sources[sweep.name][0].start)}
        _read_together(run, planned, path, axes, sizes)
        return {name: sum(each[name] for each in done) for name in audit_outcome.NOTHING_DONE}

    return carried_out(path, work, command="rebound", asked=question, identity=known, about=about)


def plan(models: tuple[str, ...], axes: Axes, audit: Audit) -> tuple[dict[str, Any], list[str]]:
    """Sizes, memory, disk and time of every sweep, as data and as lines."""
    planned = sweeps(models, axes, audit)
    read = _sources(planned, quiet=False)
    found = {sweep.name: estimate(sweep.audit, grid(sweep.audit), read[sweep.name][0]) for sweep in planned}
    seconds, memory = sum(each.seconds for each in found.values()), max(each.memory.total for each in found.values())
    many = f"{len(planned)} sweep{'s' * (len(planned) != 1)}, {len(_cells(planned))} cells"
    told = [f"{many}, about {seconds / 60:.1f} min, {gib(memory)} GiB of memory"]
    told += [f"  {name}: {each.sentence()}" for name, each in found.items()]
    return {"seconds": seconds, "memory_bytes": memory, "sweeps": {n: e.json() for n, e in found.items()}}, told


def _sources(planned: tuple[Sweep, ...], *, quiet: bool) -> dict[str, tuple[Sources, dict[str, Any]]]:
    """Models, data and their hashes for every sweep; those that differ in how they tune share them. Torch-free."""
    found: dict[Audit, tuple[Sources, dict[str, Any]]] = {}
    for sweep in planned:
        if (read := _read_by(sweep)) not in found:
            announce(read, (lambda _: None) if quiet else say)
            sources = gather(read)
            found[read] = sources, identity(sources)
    return {sweep.name: found[_read_by(sweep)] for sweep in planned}


def _read_by(sweep: Sweep) -> Audit:
    """The options of a sweep that decide what is read."""
    return replace(sweep.audit, tuner="full", rank=RANK, **{name: default(name) for name in WAYS})


def _possible(planned: tuple[Sweep, ...], sources: Mapping[str, Sources], path: Path) -> int:
    """Refuse a sweep that cannot work before the first one is run: its way of tuning, its memory, its disk.

    Returns the bytes of memory that the dearest sweep needs.
    """
    from springback.experiments.audit.ways import ways_of

    different = {(sweep.audit.tuner, *(getattr(sweep.audit, name) for name in WAYS)): sweep for sweep in planned}
    for sweep in different.values():
        ways_of(sweep.audit)
    kept = memory = 0
    for sweep in planned:
        expected = estimate(sweep.audit, grid(sweep.audit), sources[sweep.name])
        kept = kept + expected.disk_bytes if sweep.audit.keep_checkpoints else expected.disk_bytes
        require_room(replace(expected, disk_bytes=kept), path, sweep.audit)
        memory = max(memory, expected.memory.total)
    return memory


def _read_together(run: Run, planned: tuple[Sweep, ...], path: Path, axes: Axes, parameters: Mapping[str, int]) -> None:
    if run.get("verdict", "verdict") is not None:
        return
    runs = [Run.look(place(path, sweep)) for sweep in planned]
    fine = [audit_outcome.reportable(found) for found in runs]
    swept = [Swept(sweep, found.read, told) for sweep, found, told in zip(planned, runs, fine, strict=True)]
    pairs = zip(planned, runs, strict=True)
    told = [f"{sweep.name}: {caution}" for sweep, found in pairs for caution in audit_outcome.cautions(found)]
    run.note(model=runs[0].meta["model"], papers=_papers(runs), cautions=told)
    with run.together():
        run.append("data", "data", runs[0].get("data", "data") or {})
        run.append("scorer", "scorer", runs[0].get("scorer", "scorer") or {})
        for kind, key, body in analyse(swept, tolerance=axes.tolerance, parameters=parameters):
            run.append(kind, key, body)
    for found in runs:
        found.close()


def _papers(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(key for found in runs for key in found.meta["papers"]))


def _told(sweep: Sweep) -> dict[str, Any]:
    return {"name": sweep.name, "varied": sweep.varied, "audit": asdict(sweep.audit),
            "pretraining_tokens": sweep.pretraining_tokens}  # fmt: skip


def _cells(planned: tuple[Sweep, ...]) -> list[str]:
    return [f"{sweep.name}/{point.id}" for sweep in planned for point in grid(sweep.audit).points()]
