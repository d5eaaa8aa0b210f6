"""From axes to a finished run: every sweep is an audit in a directory of its own, then all are read together.

A sweep that is complete is not run again; one that was interrupted goes on where it stopped. The run's own records are
made from those of its sweeps, in one transaction, when the last one is there.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from springback.errors import RefusedError
from springback.experiments.audit import outcome as audit_outcome
from springback.experiments.audit.config import Audit
from springback.experiments.audit.estimate import estimate, gib, require_room
from springback.experiments.audit.grid import grid
from springback.experiments.audit.run import announce, peak_bytes, run_audit, say
from springback.experiments.audit.sources import gather, identity
from springback.experiments.rebound.analyse import analyse
from springback.experiments.rebound.config import Axes, Sweep, asked, sweeps
from springback.experiments.rebound.readings import Swept
from springback.store import lock, provenance
from springback.store.run import Run, default_dir

Engine = Callable[[tuple[Sweep, ...], Path, bool], list[Mapping[str, int]]]
"""Runs the sweeps in their directories below a path; the work that each call did, sweep by sweep."""


@dataclass(frozen=True, slots=True)
class Rebounded:
    """A finished rebound run."""

    run: Run
    work_done: Mapping[str, int]
    warnings: tuple[str, ...] = ()


def here(planned: tuple[Sweep, ...], path: Path, quiet: bool) -> list[Mapping[str, int]]:  # noqa: FBT001
    """One sweep after another, in this process."""
    return [one(sweep, path, quiet=quiet) for sweep in planned]


def one(sweep: Sweep, path: Path, *, quiet: bool) -> Mapping[str, int]:
    """Run one sweep, or find that it is done."""
    if not quiet:
        say(f"sweep {sweep.name}")
    done = run_audit(sweep.audit, place(path, sweep), quiet=quiet)
    done.run.close()
    return done.work_done


def place(path: Path, sweep: Sweep) -> Path:
    """The directory of a sweep."""
    return path / "sweeps" / sweep.name


def run_rebound(
    models: tuple[str, ...], axes: Axes, audit: Audit, out: Path | None, *, quiet: bool = False, engine: Engine = here
) -> Rebounded:
    """Run the grid, or go on with it, or find that it is done.

    Raises:
        RefusedError: anything that cannot work, before anything is spent.
    """
    planned, question = sweeps(models, axes, audit), asked(models, axes, audit)
    path = out or default_dir("rebound", question)
    if lock.held(path):
        raise RefusedError(
            "Another process is writing this run.", kind="run", where=str(path),
            next="Wait for it, or give another --out.",
        )  # fmt: skip
    known, parameters = _checked(planned, path, quiet=quiet)
    if (done := Run.finished(path, command="rebound", asked=question, identity=known)) is not None:
        return Rebounded(done, audit_outcome.NOTHING_DONE)
    began = time.monotonic()
    about = provenance.about(device=audit.device)
    with Run.open(path, command="rebound", asked=question, identity=known, about=about) as run:
        run.note(plan={"sweeps": [_told(sweep) for sweep in planned], "cells": _cells(planned)})
        try:
            work = engine(planned, path, quiet)
        except RefusedError:
            _take_back(run)
            raise
        _read_together(run, planned, path, axes, parameters)
        spent = (run.meta.get("spent") or 0.0) + time.monotonic() - began
        run.finish("complete", cost={"seconds": spent, "peak_bytes": peak_bytes()})
        warnings = run.warnings
    total = {name: sum(each[name] for each in work) for name in audit_outcome.NOTHING_DONE}
    return Rebounded(Run.look(path), total, tuple(warnings))


def plan(models: tuple[str, ...], axes: Axes, audit: Audit) -> tuple[dict[str, Any], list[str]]:
    """Sizes, memory, disk and time of every sweep, as data and as lines."""
    planned = sweeps(models, axes, audit)
    found = {}
    for sweep in planned:
        announce(sweep.audit, say)
        found[sweep.name] = estimate(sweep.audit, grid(sweep.audit), gather(sweep.audit))
    seconds, memory = sum(each.seconds for each in found.values()), max(each.memory.total for each in found.values())
    told = [f"{len(planned)} sweeps, {len(_cells(planned))} cells, about {seconds / 60:.1f} min, {gib(memory)} GiB"]
    told += [f"  {name}: {each.sentence()}" for name, each in found.items()]
    return {"seconds": seconds, "memory_bytes": memory, "sweeps": {n: e.json() for n, e in found.items()}}, told


def _checked(planned: tuple[Sweep, ...], path: Path, *, quiet: bool) -> tuple[dict[str, Any], dict[str, int]]:
    """Every sweep's sources are found, hashed and have room before the first one is run; parameters by model."""
    known, parameters = {}, {}
    for sweep in planned:
        announce(sweep.audit, (lambda _: None) if quiet else say)
        sources = gather(sweep.audit)
        require_room(estimate(sweep.audit, grid(sweep.audit), sources), path, sweep.audit)
        known[sweep.name] = identity(sources)
        if sources.start is not None:
            parameters[sweep.audit.model] = sources.start.parameters
    return known, parameters


def _take_back(run: Run) -> None:
    """Nothing was begun: a run without a sweep leaves no directory behind."""
    if not (run.path / "sweeps").exists():
        run.close()
        shutil.rmtree(run.path, ignore_errors=True)


def _read_together(run: Run, planned: tuple[Sweep, ...], path: Path, axes: Axes, parameters: dict[str, int]) -> None:
    if run.get("verdict", "verdict") is not None:
        return
    runs = [Run.look(place(path, sweep)) for sweep in planned]
    swept = [Swept(sweep, found.read) for sweep, found in zip(planned, runs, strict=True)]
    run.note(model=runs[0].meta["model"], papers=_papers(runs))
    with run.together():
        run.append("data", "data", runs[0].get("data", "data") or {})
        run.append("scorer", "scorer", runs[0].get("scorer", "scorer") or {})
        for kind, key, body in analyse(swept, tolerance=axes.tolerance, parameters=parameters):
            run.append(kind, key, body)
        fine, why = audit_outcome.reportable(runs[0])
        run.append("reportable", "reportable", {"reportable": fine, "why": why})
    for found in runs:
        found.close()


def _papers(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(key for found in runs for key in found.meta["papers"]))


def _told(sweep: Sweep) -> dict[str, Any]:
    return {"name": sweep.name, "varied": sweep.varied, "audit": asdict(sweep.audit),
            "pretraining_tokens": sweep.pretraining_tokens}  # fmt: skip


def _cells(planned: tuple[Sweep, ...]) -> list[str]:
    return [f"{sweep.name}/{point.id}" for sweep in planned for point in grid(sweep.audit).points()]
