"""Sweeps carried out elsewhere: the same records, a lost worker, a machine that does not see the run."""

import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.experiments.audit.small import records, tiny

from springback.cli.main import app
from springback.errors import RefusedError
from springback.experiments.rebound import engines
from springback.experiments.rebound.config import DEFAULTS, Axes
from springback.experiments.rebound.run import run_rebound
from springback.parallel.choose import On
from springback.parallel.here import Here
from springback.parallel.job import Job
from springback.parallel.processes import Processes
from springback.parallel.ray import Ray

AXES = Axes(align_mixes=(0, 50))


def asked(**more):
    small = {"align_sizes": (8,), "reverse_sizes": (4,), "samples": 6, "pairs": 5, "neutral": 2, "arms": "core"}
    return tiny(**{**DEFAULTS, **small, **more})


def rebound(path: Path, engine, **more):
    """Work done, and the records of the run and of every sweep."""
    done = run_rebound(("tiny",), AXES, asked(**more), path, quiet=True, engine=engine)
    done.run.close()
    return done.work_done, {place.name: records(place) for place in (*sorted((path / "sweeps").iterdir()), path)}


def on(workers):
    """A rebound engine over an engine of jobs."""
    return lambda order: engines._elsewhere(order, workers)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return rebound(tmp_path_factory.mktemp("local") / "run", engines.here)


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from springback.parallel.ray import _ray

    _ray()
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield ray
    ray.shutdown()


def same(found: dict, local: dict) -> bool:
    (*sweeps, run), (*own, ours) = found.values(), local.values()
    return sweeps == own and run == ours and len(sweeps) == 2


class Blind:
    """Workers of a machine where the run's directory is not."""

    def __init__(self, workers):
        self.workers = workers

    def __call__(self, do, jobs):
        there = Path("/not/on/this/machine")
        return self.workers(do, [Job(job.name, replace(job.what, path=there, folder=there)) for job in jobs])


@pytest.mark.slow
def test_several_processes_give_the_records_of_one_and_a_killed_one_goes_on_where_it_stopped(local, tmp_path):
    killer = Killer(tmp_path / "run", lambda line: "spawn_main" in line)
    work, found = rebound(tmp_path / "run", engines.engine(On("processes", workers=2)))
    assert killer.killed()
    assert same(found, local[1])
    assert work["cells"] < local[0]["cells"]  # of this call: what the killed one had stored is not measured again


@pytest.mark.slow
def test_a_ray_cluster_gives_the_records_of_one_process_and_a_killed_worker_changes_none(cluster, local, tmp_path):
    killer = Killer(tmp_path / "run", lambda line: line.startswith("ray::attempt"))
    work, found = rebound(tmp_path / "run", engines.engine(On("ray")))
    assert killer.killed()
    assert same(found, local[1])
    assert work["cells"] < local[0]["cells"]


def test_a_machine_that_does_not_see_the_run_sends_its_sweeps_back(cluster, local, tmp_path):
    work, found = rebound(tmp_path / "run", on(Blind(Ray(quiet=True))))
    assert same(found, local[1])
    assert work == local[0]
    assert not [name for name in (tmp_path / "run").iterdir() if name.name.startswith((".token", ".0"))]


def test_finished_sweeps_are_not_sent_out_again(local, tmp_path):
    path = tmp_path / "run"
    rebound(path, engines.here)
    (path / "run.json").write_text((path / "run.json").read_text().replace('"complete"', '"partial"'))
    sent = []
    work, _ = rebound(path, on(lambda _, jobs: iter(sent.extend(jobs) or ())))
    assert sent == []
    assert set(work.values()) == {0}


def test_a_sweep_run_on_other_data_is_not_taken(tmp_path):
    def other(order):
        known = {name: {**hashes, "data": "other"} for name, hashes in order.identity.items()}
        return engines._elsewhere(replace(order, identity=known), Here())

    with pytest.raises(RefusedError, match="on other data, weights or another version"):
        rebound(tmp_path / "run", other)


def test_weights_are_not_sent_between_machines_and_nothing_is_left_of_the_attempt(tmp_path):
    with pytest.raises(RefusedError, match="--keep-checkpoints needs a run directory that every machine sees"):
        rebound(tmp_path / "run", on(Blind(Here())), keep_checkpoints=True)
    assert not (tmp_path / "run").exists()


def test_a_sweep_cut_off_while_it_was_put_in_place_is_put_there_whole_the_next_time(local, tmp_path):
    path = tmp_path / "run"
    half = path / ".00-align-mix-0.partial"
    engine = on(Blind(Here()))

    def torn(order):
        half.mkdir()
        (half / "records.sqlite").write_bytes(b"half")
        return engine(order)

    assert same(rebound(path, torn)[1], local[1])
    assert not half.exists()


def test_more_sweeps_at_once_than_memory_are_refused_with_a_number_that_fits(monkeypatch, tmp_path):
    class Little:
        available = 2**29

    from springback.experiments.rebound import run

    monkeypatch.setattr(run, "require_room", lambda *_: None)
    monkeypatch.setattr(psutil, "virtual_memory", Little)
    with pytest.raises(RefusedError, match="2 sweeps at once"):
        rebound(tmp_path / "run", engines.engine(On("processes", workers=2)))
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_an_engine_that_it_does_not_know(capsys, tmp_path):
    assert app(["rebound", "--tiny", "--on", "processes:0", "--out", str(tmp_path / "run")]) == 2
    assert "--on knows here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class Killer:
    """Kills, with signal 9, one worker that has stored a cell of its sweep."""

    def __init__(self, run: Path, worker):
        self.run, self.worker, self.victim = run, worker, None
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        end = time.monotonic() + 100
        while self.victim is None and time.monotonic() < end:
            time.sleep(0.1)
            for place in (self.run / "sweeps").glob("*"):
                if self.victim is None and stored(place):
                    self.kill(place)

    def kill(self, place: Path) -> None:
        """The process that has this sweep's table open."""
        for process in psutil.Process().children(recursive=True):
            try:
                line = " ".join(process.cmdline())
                opened = any(file.path == str(place / "records.sqlite") for file in process.open_files())
            except psutil.Error:
                continue
            if self.worker(line) and opened:
                process.kill()
                self.victim = process.pid
                return

    def killed(self) -> bool:
        self.thread.join(1)
        return self.victim is not None


def stored(place: Path) -> bool:
    """Whether the sweep has a cell."""
    try:
        with closing(sqlite3.connect(f"file:{place / 'records.sqlite'}?mode=ro", uri=True)) as table:
            return bool(table.execute("SELECT 1 FROM records WHERE kind = 'cell' LIMIT 1").fetchall())
    except sqlite3.Error:
        return False


def test_processes_need_a_number_of_workers():
    with pytest.raises(ValueError, match="at least 1"):
        Processes(0)
