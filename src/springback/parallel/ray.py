"""Jobs on a Ray cluster (Moritz et al., 2018; extra `ray`). A job whose worker or machine is lost is begun anew.

Ray's own retries are off: it repeats a task that ran out of memory without end. A job asks for one accelerator where
the cluster has any and it wants one, for its memory, and for its share of the cores. Ray's usage statistics, which go
to its makers, are off.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from springback.errors import RefusedError
from springback.parallel.job import TRIES, Job, JobLostError, attempt, failed, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """An `Engine` of a Ray cluster, whose machines have this package installed."""

    address: str | None = None
    """`HOST:PORT`, `ray://HOST:PORT` or `auto`; without one, RAY_ADDRESS, or else a cluster of this machine alone."""
    memory: int = 0
    """Bytes that a job needs; it is not sent to where less is left."""
    accelerator: bool = False
    """Whether a job computes on an accelerator where there is one."""
    tries: int = TRIES
    quiet: bool = False
    """Do not show what workers print."""

    def __call__(self, do: Callable[[Any], Any], jobs: Sequence[Job]) -> Iterator[Any]:
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            _join(ray, self.address, quiet=self.quiet)
        try:
            task = ray.remote(max_retries=0, **_share(ray, self, len(jobs)))(attempt)
            yield from _in_order(ray, lambda job: task.remote(do, job.what), jobs, self.tries)
        finally:
            if ours:
                ray.shutdown()


def _in_order(ray: Any, begin: Callable[[Job], Any], jobs: Sequence[Job], tries: int) -> Iterator[Any]:
    """Whatever ends first is looked at first; values are handed on in the order of the jobs."""
    begun = {begin(job): (index, 1) for index, job in enumerate(jobs)}
    ended: dict[int, Any] = {}
    try:
        for index in range(len(jobs)):
            while index not in ended:
                (reference,), _ = ray.wait(list(begun), num_returns=1)
                place, tried = begun.pop(reference)
                try:
                    ended[place] = value(jobs[place], _outcome(ray, reference))
                except _lost(ray) as error:
                    if tried == tries:
                        raise JobLostError(jobs[place].name, tries, _first_line(error)) from error
                    begun[begin(jobs[place])] = (place, tried + 1)
            yield ended.pop(index)
    finally:
        for reference in begun:
            with suppress(Exception):
                ray.cancel(reference, force=True)


def _outcome(ray: Any, reference: Any) -> Any:
    """What came back; `Failed` where the worker could not even begin (this package is not installed there)."""
    try:
        return ray.get(reference)
    except _lost(ray):
        raise
    except ray.exceptions.RayError as error:
        return failed(error)


def _lost(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray calls a worker, a machine or a result that is gone."""
    names = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError", "LocalRayletDiedError")
    return tuple(getattr(ray.exceptions, name) for name in names)


def _share(ray: Any, engine: Ray, jobs: int) -> dict[str, int]:
    """What one job asks for. RefusedError where no machine of the cluster offers it: Ray would wait for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = int(sum(node.get("CPU", 0) for node in nodes) // max(1, jobs))
    cpus = max(1, min(cores, int(max((node.get("CPU", 0) for node in nodes), default=0))))
    gpus = 1 if engine.accelerator and any(node.get("GPU") for node in nodes) else 0
    wanted = {"CPU": cpus, "GPU": gpus, "memory": engine.memory}
    if not any(all(node.get(name, 0) >= least for name, least in wanted.items()) for node in nodes):
        raise RefusedError(
            f"No machine of the Ray cluster offers {cpus} core, {gpus} accelerators and {engine.memory / 2**30:.2f} "
            f"GiB of memory together; it has {len(nodes)} machines.",
            kind="memory", where="--on ray", next="Add a larger machine to the cluster, or run --on here.",
        )  # fmt: skip
    return {"num_cpus": cpus, "num_gpus": gpus, "memory": engine.memory}


def _join(ray: Any, address: str | None, *, quiet: bool) -> None:
    # Ray is told by a whole task's exception that its worker is gone; its log says so again, many times.
    level = logging.ERROR if quiet else logging.WARNING
    try:
        ray.init(address, log_to_driver=not quiet, logging_level=level, **({} if address else _alone()))
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise RefusedError(
            f"The Ray cluster cannot be joined: {_first_line(error)}", kind="network", where="--on ray",
            next="Give the address that `ray status` shows (--on ray:HOST:PORT), or --on ray for this machine alone.",
        ) from error  # fmt: skip


def _alone() -> dict[str, Any]:
    """Options for a cluster of this machine; none where RAY_ADDRESS names another."""
    return {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise RefusedError(
            "--on ray needs the package ray, which is not installed.",
            kind="option", where="--on ray", next="Install it with: pip install 'springback[ray]'",
        ) from error  # fmt: skip
    return ray


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
