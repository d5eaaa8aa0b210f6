"""Several processes of this machine. A process that dies (killed, out of memory) is replaced, and its job begun anew.

Each worker is a fresh interpreter (spawned: a fork would copy torch's threads half), runs one job at a time and leaves
when this process does, however that ends. `concurrent.futures` would give up all jobs when one worker dies.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from springback.parallel.job import TRIES, Job, JobLostError, Outcome, attempt, failed, value


@dataclass(frozen=True, slots=True)
class Processes:
    """An `Engine` of worker processes."""

    workers: int = 2
    """Jobs at the same time. Each has its share of the cores, unless OMP_NUM_THREADS says otherwise."""
    tries: int = TRIES

    def __post_init__(self) -> None:
        if self.workers < 1 or self.tries < 1:
            raise ValueError(f"workers and tries must be at least 1, got {self}")

    def __call__(self, do: Callable[[Any], Any], jobs: Sequence[Job]) -> Iterator[Any]:
        count = max(1, min(self.workers, len(jobs)))
        crew = _Crew(count, max(1, _cores() // count), self.tries)
        threads = ThreadPoolExecutor(count)  # each waits for one worker
        try:
            for job, outcome in zip(jobs, threads.map(partial(crew.run, do), jobs), strict=True):
                yield value(job, outcome)
        finally:
            crew.dismiss()
            threads.shutdown(cancel_futures=True)


class _Worker:
    """A process that does what it is sent."""

    def __init__(self, threads: int) -> None:
        context = get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, threads), daemon=True)
        self._process.start()
        far.close()  # else its death would not be seen at this end

    def ask(self, message: bytes) -> Outcome:
        """EOFError or OSError where the worker is lost."""
        self._pipe.send_bytes(message)
        return self._pipe.recv()

    def end(self) -> str:
        """Kill it, if it still lives; how it ended."""
        self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@dataclass(slots=True)
class _Crew:
    """Workers, each used by one thread at a time."""

    count: int
    threads: int
    tries: int
    _idle: SimpleQueue[_Worker | None] = field(default_factory=SimpleQueue)
    _all: set[_Worker] = field(default_factory=set)
    _dismissed: bool = False
    _hiring: Any = field(default_factory=Lock)

    def __post_init__(self) -> None:
        for _ in range(self.count):
            self._idle.put(None)

    def run(self, do: Callable[[Any], Any], job: Job) -> Outcome:
        message, why = pickle.dumps((do, job.what)), ""
        worker = self._idle.get()
        try:
            for _ in range(self.tries):
                worker = worker or self._hired()
                try:
                    return worker.ask(message)
                except (EOFError, OSError):
                    why, worker = self._gone(worker), None
            raise JobLostError(job.name, self.tries, why)
        finally:
            self._idle.put(worker)

    def dismiss(self) -> None:
        """Kill all workers, busy or not: what they were doing is durable, or begun anew another time."""
        with self._hiring:
            self._dismissed = True
        for worker in tuple(self._all):
            self._gone(worker)

    def _hired(self) -> _Worker:
        with self._hiring:
            if self._dismissed:
                raise RuntimeError("the workers have been dismissed")
            self._all.add(worker := _Worker(self.threads))
        return worker

    def _gone(self, worker: _Worker) -> str:
        self._all.discard(worker)
        return worker.end()


def _serve(pipe: Connection, threads: int) -> None:
    """What a worker does until its driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is told too, and ends us
    Thread(target=_leave_with_driver, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before torch is imported
    while True:
        try:
            message = pipe.recv_bytes()
        except EOFError:
            return
        _answer(pipe, message)


def _answer(pipe: Connection, message: bytes) -> None:
    try:
        pipe.send(attempt(*pickle.loads(message)))
    except (pickle.PicklingError, ImportError, AttributeError, TypeError) as error:
        pipe.send(failed(error))


def _leave_with_driver() -> None:
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
