"""Where the sweeps of a run are carried out: here, in several processes, on a Ray cluster.

A sweep is one job: its chains are nested, so they stay together. A worker that sees the run's directory works in it,
and whoever takes over from a lost worker goes on where that stopped. One that does not see it (another machine without
a shared disk) works in a directory of its own, and the finished sweep comes back as bytes.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil

from springback.errors import RefusedError
from springback.experiments.audit.estimate import gib
from springback.experiments.audit.outcome import NOTHING_DONE
from springback.experiments.audit.run import Conductor, run_audit
from springback.experiments.rebound import parcel
from springback.experiments.rebound.config import Sweep
from springback.experiments.rebound.order import Engine, Order, Work, place
from springback.experiments.running import say
from springback.parallel import job
from springback.parallel.choose import On
from springback.parallel.processes import Processes
from springback.parallel.ray import Ray
from springback.store.run import Run

TOKEN = ".token"
"""File in the run's directory while its sweeps are carried out elsewhere."""


@dataclass(frozen=True, slots=True)
class Task:
    """A sweep, for a worker that may stand on another machine."""

    sweep: Sweep
    path: Path
    """The run's directory on the driver's machine, absolute."""
    token: str
    folder: Path
    """Where the driver stands; relative paths of models and data begin there."""
    quiet: bool


def here(order: Order, conductor: Conductor | None = None) -> list[Work]:
    """One sweep after another, in this process or in those that it conducts."""
    return [one(sweep, order.path, quiet=order.quiet, conductor=conductor) for sweep in order.sweeps]


def one(sweep: Sweep, path: Path, *, quiet: bool, conductor: Conductor | None = None) -> Work:
    """Run one sweep, or find that it is done."""
    if not quiet:
        say(f"sweep {sweep.name}")
    done = run_audit(sweep.audit, place(path, sweep), quiet=quiet, conductor=conductor)
    done.run.close()
    return done.work_done


def engine(asked: On, conductor: Conductor | None = None) -> Engine:
    """The engine of `--on`, or of `--world`."""
    if asked.kind == "here":
        return partial(here, conductor=conductor)
    if conductor is not None:
        raise RefusedError(
            "--world trains one model in several processes, --on sends sweeps to several; together they are not known.",
            kind="option", where="--on", next="Leave one of the two out.",
        )  # fmt: skip
    return lambda order: _elsewhere(order, _workers(asked, order))


def _workers(asked: On, order: Order) -> job.Engine:
    if asked.kind == "processes":
        _require_room(min(asked.workers, len(order.sweeps)), order)
        return Processes(asked.workers)
    wants = any(sweep.audit.device in ("auto", "cuda") and not sweep.audit.tiny for sweep in order.sweeps)
    return Ray(address=asked.address, memory=order.memory, accelerator=wants, quiet=order.quiet)


def _require_room(at_once: int, order: Order) -> None:
    free = psutil.virtual_memory().available
    if any(sweep.audit.device in ("auto", "cpu") for sweep in order.sweeps) and at_once * order.memory > free:
        raise RefusedError(
            f"Not enough memory: {at_once} sweeps at once take {at_once} · {gib(order.memory)} GiB, "
            f"{gib(free)} GiB are free.",
            kind="memory", where="--on", next=f"Take --on processes:{max(1, free // order.memory)}, or --on here.",
        )  # fmt: skip


def _elsewhere(order: Order, workers: job.Engine) -> list[Work]:
    missing = [sweep for sweep in order.sweeps if not _done(sweep, order)]
    work: dict[str, Work] = {sweep.name: NOTHING_DONE for sweep in order.sweeps}
    with _token(order.path) as token:
        tasks = [Task(sweep, order.path.absolute(), token, Path.cwd(), order.quiet) for sweep in missing]
        jobs = [job.Job(f"sweep {task.sweep.name}", task) for task in tasks]
        for sweep, brought in zip(missing, workers(carry_out, jobs), strict=True):
            work[sweep.name] = _received(sweep, brought, order)
    return list(work.values())


def _done(sweep: Sweep, order: Order) -> bool:
    known = order.identity[sweep.name]
    found = Run.finished(place(order.path, sweep), command="audit", asked=asdict(sweep.audit), identity=known)
    if found is not None:
        found.close()
    return found is not None


@contextmanager
def _token(path: Path) -> Iterator[str]:
    word = secrets.token_hex(16)
    (path / TOKEN).write_text(word, "ascii")
    try:
        yield word
    finally:
        (path / TOKEN).unlink(missing_ok=True)


def carry_out(task: Task) -> tuple[Work, Mapping[str, bytes] | None]:
    """On a worker: the work it did; and the sweep's files, where it cannot put them in their place itself."""
    with chdir(task.folder) if task.folder.is_dir() else nullcontext():
        if _seen(task.path / TOKEN) == task.token:
            return one(task.sweep, task.path, quiet=task.quiet), None
        return parcel.packed(task.sweep, task.token, lambda path: one(task.sweep, path, quiet=task.quiet))


def _seen(file: Path) -> str | None:
    try:
        return file.read_text("ascii")
    except (OSError, ValueError):
        return None


def _received(sweep: Sweep, brought: tuple[Work, Mapping[str, bytes] | None], order: Order) -> Work:
    work, files = brought
    if files is not None:
        parcel.unpack(files, place(order.path, sweep), order.path)
    if not _done(sweep, order):
        raise RefusedError(
            f"Sweep {sweep.name} was run on other data, weights or another version than this machine has.",
            kind="run", where=str(place(order.path, sweep)),
            next="Put the same model and data on every machine, remove this directory, and run the command again.",
        )  # fmt: skip
    return work
