"""Laws of every engine, and what becomes of jobs whose worker dies."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.parallel import duties

from springback.errors import RefusedError
from springback.parallel.choose import On, on
from springback.parallel.here import Here
from springback.parallel.job import Job, JobFailedError, JobLostError
from springback.parallel.processes import Processes
from springback.parallel.ray import Ray


def jobs(*values) -> list[Job]:
    return [Job(f"job {value}", value) for value in values]


@pytest.fixture(params=["here", "processes", "ray"])
def engine(request):
    """Every engine."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return {"here": Here(), "processes": Processes(2), "ray": Ray()}[request.param]


@pytest.fixture(params=["processes", "ray"])
def workers(request):
    """Every engine whose workers can be lost."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return {"processes": Processes(2), "ray": Ray()}[request.param]


def test_every_job_is_done_once_and_in_order(engine):
    assert list(engine(duties.double, jobs(3, 1, 2))) == [6, 2, 4]
    assert list(engine(duties.double, [])) == []


def test_values_come_in_the_order_of_the_jobs_whatever_ends_first(engine):
    assert list(engine(duties.slow_first, jobs(0, 1, 2))) == [0, 1, 2]


def test_a_refusal_arrives_as_it_was_raised(engine):
    with pytest.raises(RefusedError) as refused:
        list(engine(duties.refuse, jobs("rows")))
    error = refused.value
    assert (error.message, error.kind, error.where, error.next) == ("no rows", "data", "rows.jsonl:3", "Mend it.")


def test_any_other_exception_names_the_job_and_is_not_tried_again(workers):
    with pytest.raises(JobFailedError, match="job 0: ZeroDivisionError"):
        list(workers(duties.divide, jobs(1, 0)))


def test_what_cannot_be_sent_back_is_a_failure_not_a_loss(workers):
    with pytest.raises(JobFailedError, match="job 1"):
        list(workers(duties.unpicklable, jobs(1)))


def test_the_job_of_a_killed_worker_is_begun_again(workers, tmp_path):
    marks = [str(tmp_path / name) for name in "ab"]
    assert list(workers(duties.die_at_first, jobs(*marks))) == [2, 2]


def test_a_job_that_kills_its_worker_each_time_is_given_up_by_name(workers, tmp_path):
    marks = tmp_path / "marks"
    with pytest.raises(JobLostError, match=r"marks: its worker was lost 3 times"):
        list(workers(duties.die, [Job("marks", str(marks))]))
    assert marks.read_text() == "xxx"


def test_workers_end_when_the_caller_stops_asking(tmp_path):
    before = {process.pid for process in psutil.Process().children()}
    values = Processes(2)(duties.slow_first, jobs(1, 0, 0, 0, 0, 0))
    assert next(values) == 1
    values.close()
    assert {process.pid for process in psutil.Process().children() if process.status() != "zombie"} <= before


def test_workers_end_with_a_killed_driver(tmp_path):
    mark = tmp_path / "pid"
    code = (
        "from springback.parallel.processes import Processes; from springback.parallel.job import Job\n"
        "from tests.parallel.duties import sleep\n"
        f"if __name__ == '__main__': list(Processes(1)(sleep, [Job('sleep', {str(mark)!r})]))"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    driver = subprocess.Popen([sys.executable, str(script)], cwd=root, env={"PYTHONPATH": f"{root}:{root / 'src'}"})
    until(lambda: mark.exists() and mark.read_text())
    driver.kill()
    driver.wait()
    until(lambda: not psutil.pid_exists(int(mark.read_text())))


def until(holds, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_more_memory_than_any_machine_has_is_refused_at_once(cluster):
    with pytest.raises(RefusedError, match="No machine of the Ray cluster offers") as refused:
        list(Ray(memory=2**60)(duties.double, jobs(1)))
    assert refused.value.kind == "memory"


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RefusedError) as refused:
        list(Ray()(duties.double, jobs(1)))
    assert "springback[ray]" in refused.value.next


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("here", On()),
        ("processes:3", On("processes", workers=3)),
        ("ray", On("ray")),
        ("ray:10.0.0.1:6379", On("ray", address="10.0.0.1:6379")),
        ("ray:ray://head:10001", On("ray", address="ray://head:10001")),
    ],
)
def test_an_engine_is_asked_for_in_words(words, meant):
    assert on(words) == meant


@pytest.mark.parametrize("words", ["", "there", "here:2", "processes", "processes:0", "processes:two", "ray:"])
def test_other_words_are_refused(words):
    with pytest.raises(RefusedError, match="--on knows"):
        on(words)
