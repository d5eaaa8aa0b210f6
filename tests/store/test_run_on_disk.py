"""What a run does on a disk that is full, read-only or somebody else's."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.runs import begin, refusal, store_together

from springback.store.run import Run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


def test_a_disk_that_fills_up_at_the_start_leaves_nothing(path, monkeypatch):
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("springback.store.document.os.fsync", full)
    error = refusal(lambda: begin(path))
    assert (error.kind, "No space left" in error.message) == ("disk", True)
    assert not path.exists()


def test_a_disk_that_fills_up_later_says_so_and_keeps_what_is_stored(path):
    with begin(path) as run:
        run.append("cell", "a", {})
        run._records._database.execute("PRAGMA max_page_count = 5")
        with pytest.raises(OSError, match=r"cannot store: database or disk is full; what was stored before stays"):
            run.append("cell", "b", {"text": "x" * 100_000})
        with pytest.raises(OSError, match="full"):
            store_together(run, {"c": {}}, {"d": {"text": "x" * 100_000}})
        assert run.keys("cell") == ["a"]


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can reach, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    for place in [directory, *directory.rglob("*")]:
        if place.is_dir():
            place.chmod(0o755)
    shutil.rmtree(directory)


def without_rights(act: Callable[[], str]) -> str:
    """What it answers in a process that may write nothing here (root may write everywhere, and is dropped)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            os.write(writing, act().encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a second user")
@pytest.mark.parametrize("log", [False, True])
def test_a_run_in_a_read_only_directory_can_be_read_with_its_log(public, log):
    path = public / "run"
    run = begin(path)
    run.append("cell", "a", {"x": 1})
    if log:  # as a killed process leaves it: the records are in the log alone
        shutil.copytree(path, public / "killed")
        (public / "killed" / "records.sqlite-shm").unlink()
    run.close()
    there = public / "killed" if log else path
    there.chmod(0o555)
    before = sorted(file.name for file in there.iterdir())

    def look() -> str:
        with Run.look(there) as looked:
            return f"{looked.read('cell')} {looked.state}"

    assert without_rights(look) == "{'a': {'x': 1}} partial"
    assert sorted(file.name for file in there.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a second user")
def test_a_directory_that_cannot_be_written_is_refused_and_nothing_is_left(public):
    public.chmod(0o555)

    def act() -> str:
        error = refusal(lambda: begin(public / "new" / "run"))
        return f"{error.kind} {error.where}"

    assert without_rights(act) == f"disk {public / 'new' / 'run'}"
    begin(public / "old").close()
    (public / "old").chmod(0o555)
    for file in (public / "old").iterdir():
        file.chmod(0o444)
    assert without_rights(lambda: refusal(lambda: begin(public / "old")).kind) == "disk"
