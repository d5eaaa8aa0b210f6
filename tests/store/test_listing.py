import subprocess
import sys
from pathlib import Path

import pytest

from springback.errors import RefusedError
from springback.store.listing import Cells, entry, remove, runs_under
from springback.store.run import Run


def begin(path: Path, **asked: object) -> Run:
    return Run.open(path, command="audit", asked=asked, identity={})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "one"
    with begin(path) as run:
        run.note(plan={"cells": ["a", "b", "c"]})
        for key in "ab":
            run.append("cell", key, {})
        run.append("verdict", "verdict", {"label": "holds"})
    return path


def test_an_entry_says_what_a_run_is_and_how_far_it_came(run):
    found = entry(run)
    assert (found.run, found.command, found.state, found.verdict) == (str(run), "audit", "partial", "holds")
    assert found.cells == Cells(planned=3, done=2)
    assert found.bytes == sum(file.stat().st_size for file in run.iterdir())
    assert found.at.endswith("+00:00")


def test_a_run_without_a_plan_or_a_verdict_is_listed_too(tmp_path):
    begin(tmp_path / "one").close()
    found = entry(tmp_path / "one")
    assert (found.cells, found.verdict) == (Cells(planned=None, done=0), None)


def test_runs_are_found_under_a_directory_and_at_it(run):
    (run.parent / "notes").mkdir()
    begin(run.parent / "two").close()
    assert sorted(Path(one.run).name for one in runs_under(run.parent).runs) == ["one", "two"]
    assert [one.run for one in runs_under(run).runs] == [str(run)]


def test_a_run_that_cannot_be_read_is_named_and_hides_no_other(run):
    torn = run.parent / "torn"
    torn.mkdir()
    (torn / "run.json").write_text("{")
    found = runs_under(run.parent)
    assert [one.run for one in found.runs] == [str(run)]
    assert [words.partition(":")[0] for words in found.unreadable] == [str(torn)]


def test_a_place_that_is_no_directory_is_refused(tmp_path):
    with pytest.raises(RefusedError) as caught:
        runs_under(tmp_path / "absent")
    assert caught.value.where == str(tmp_path / "absent")


def test_removing_a_run_removes_it_whole_and_says_what_it_was(run):
    assert remove(run).verdict == "holds"
    assert not run.exists()
    assert run.parent.exists()


def test_only_a_run_is_removed(run):
    folder = run.parent / "folder"
    folder.mkdir()
    (run.parent / "link").symlink_to(run, target_is_directory=True)
    for place in (folder, run.parent / "link", run.parent / "absent", run.parent):
        with pytest.raises(RefusedError) as caught:
            remove(place)
        assert ("a link" in caught.value.message) == (place.name == "link")
    assert folder.exists()
    assert (run / "records.sqlite").exists()


def test_a_run_that_is_being_written_is_not_removed(run):
    code = "import sys; from pathlib import Path; from springback.store.run import Run\n"
    code += "run = Run.open(Path(sys.argv[1]), command='audit', asked={}, identity={}); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(run)], **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert entry(run).state == "running"
        with pytest.raises(RefusedError) as caught:
            remove(run)
        process.kill()
    assert "another process" in caught.value.message
    assert entry(run).cells.done == 2
    remove(run)
