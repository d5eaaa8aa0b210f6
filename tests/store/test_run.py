"""What a run promises: durable, one writer, readable by anybody, never two questions in one directory."""

import json
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from tests.store.runs import ASKED, IDENTITY, begin, refusal, store_together

from springback.store.run import Run, default_dir

WRITER = """
import sys
from pathlib import Path
from springback.store.run import Run

with Run.open(Path(sys.argv[1]), command="audit", asked={}, identity={}) as run:
    for i in range(len(run.keys("row")), 1_000_000):
        run.append("row", str(i), {"text": "x" * 500})
        with run.together():
            for name in "abc":
                run.append(name, str(i), {"i": i})
        print(i, flush=True)
"""


@dataclass(frozen=True)
class Point:
    seed: int
    sizes: tuple[int, ...]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


def writer(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str], count: int) -> int:
    """Read that many lines, kill -9, read what is left: the number of the last whole record."""
    assert process.stdout is not None
    for _ in range(count):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].splitlines(keepends=True)
    return int(next((line for line in reversed(rest) if line.endswith("\n")), count - 1))


def test_a_record_comes_back_as_it_was_stored_in_the_order_it_was_stored(path):
    with begin(path) as run:
        run.append("cell", "b", Point(1, (2, 3)), cost={"seconds": 1.5})
        run.append("cell", "a", {"text": "한글 \ud800 \x00 </script>", "none": None, "x": 0.1})
    with Run.look(path) as run:
        assert run.read("cell") == {
            "b": {"seed": 1, "sizes": [2, 3], "cost": {"seconds": 1.5}},
            "a": {"text": "한글 \ud800 \x00 </script>", "none": None, "x": 0.1},
        }
        assert list(run.read("cell")) == run.keys("cell") == ["b", "a"]
        assert run.kinds() == {"cell": 2}
        assert run.get("cell", "c") is None
        assert run.read("nothing") == {}


def test_the_table_is_the_one_that_outside_scripts_are_promised(path):
    with begin(path) as run:
        run.append("cell", "a", {"x": 1})
    with sqlite3.connect(path / "records.sqlite") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        columns = [(name, kind) for _, name, kind, *_ in database.execute("PRAGMA table_info(records)")]
        assert columns == [("seq", "INTEGER"), ("kind", "TEXT"), ("key", "TEXT"), ("at", "TEXT"), ("body", "TEXT")]
        ((seq, kind, key, at, body),) = database.execute("SELECT * FROM records").fetchall()
    assert (seq, kind, key, json.loads(body)) == (1, "cell", "a", {"x": 1})
    assert at.endswith("+00:00")


def test_a_key_is_stored_once(path):
    with begin(path) as run:
        run.append("cell", "a", {"x": 1})
        run.append("sample", "a", {"x": 1})
        with pytest.raises(ValueError, match="cell a is stored already"):
            run.append("cell", "a", {"x": 2})
        assert run.get("cell", "a") == {"x": 1}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), object(), {1, 2}, b"x"])
def test_what_json_cannot_say_is_refused_by_kind_key_and_field(path, bad):
    with begin(path) as run:
        with pytest.raises(ValueError, match=r"record cell a: no JSON at score\.1\.low"):
            run.append("cell", "a", {"fine": 1.0, "score": [{"low": 1}, {"low": bad}]})
        assert run.kinds() == {}


def test_together_stores_all_or_none(path):
    with begin(path) as run:
        with pytest.raises(ValueError, match="stored already"):
            store_together(run, {"a": {}}, {"a": {}})
        with run.together():
            run.append("cell", "b", {})
            run.append("cell", "c", {})
            with Run.look(path) as other:
                assert other.keys("cell") == []
        with Run.look(path) as other:
            assert other.keys("cell") == ["b", "c"]


def test_kill_9_loses_no_acknowledged_record_and_blocks_nobody(path):
    chance, seen = Random(5), 0
    for _ in range(5):
        seen = acknowledged(writer(path), chance.randrange(1, 150))
        with Run.look(path) as run:
            rows = run.keys("row")
            assert rows == [str(i) for i in range(len(rows))]
            assert len(rows) > seen
            assert len({run.kinds()[name] for name in "abc"}) == 1
    with Run.open(path, command="audit", asked={}, identity={}) as run:
        assert len(run.keys("a")) > seen
    assert Run.look(path).state == "partial"


def test_a_second_writer_is_refused_while_readers_read(path):
    process = writer(path)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        error = refusal(lambda: Run.open(path, command="audit", asked={}, identity={}))
        assert (error.kind, error.where) == ("run", str(path))
        assert "--out" in error.next
        with Run.look(path) as run:
            before = run.keys("row")
            acknowledged_since = int(process.stdout.readline())
            while len(seen := run.keys("row")) <= max(len(before), acknowledged_since):
                acknowledged_since = int(process.stdout.readline())
            assert seen[: len(before)] == before
            assert run.state == "running"
    finally:
        process.kill()
        process.communicate()
    with Run.look(path) as run:
        assert run.state == "partial"


def test_the_same_process_cannot_open_a_run_twice(path):
    with begin(path):
        assert refusal(lambda: begin(path)).kind == "run"
    begin(path).close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"asked": ASKED | {"seed": 4}}, "seed (3 there, 4 now)"),
        ({"asked": ASKED | {"sizes": [16, 32]}}, "sizes ([16, 64] there, [16, 32] now)"),
        ({"asked": ASKED | {"model": {"name": "big"}}}, "model.name (tiny there, big now)"),
        ({"asked": ASKED | {"dtype": "float32"}}, "dtype (nothing there, float32 now)"),
        ({"asked": {"seed": 3, "sizes": (16, 64)}}, "model.name (tiny there, nothing now)"),
        ({"identity": IDENTITY | {"data": {"sha256": "ef"}}}, "identity.data.sha256 (ab there, ef now)"),
        ({"command": "compress"}, "command (audit there, compress now)"),
    ],
)
def test_another_question_is_refused_by_the_field_that_differs(path, changes, named):
    begin(path).close()
    stored = (path / "run.json").read_bytes()
    error = refusal(lambda: begin(path, **changes))
    assert (error.kind, error.message) == ("run", f"the run there differs in {named}")
    assert "--out" in error.next
    assert (path / "run.json").read_bytes() == stored
    begin(path, asked=ASKED | {"sizes": [16, 64]}).close()


@pytest.mark.parametrize(("field", "value"), [("springback", "0.0.1"), ("schema", 2)])
def test_a_run_of_another_version_is_refused_by_name(path, field, value):
    begin(path).close()
    meta = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(meta | {field: value}))
    error = refusal(lambda: begin(path))
    assert error.kind == "run"
    assert str(value) in error.message
    if field == "schema":
        assert refusal(lambda: Run.look(path)).kind == "run"
    else:
        assert Run.look(path).meta[field] == value


def test_another_machine_or_library_warns_once_and_is_recorded(path):
    begin(path, about={"torch": "2.13", "threads": 2}).close()
    for _ in range(2):
        with begin(path, about={"torch": "2.14", "threads": 2}) as run:
            assert run.warnings == ("this run began with torch (2.13 there, 2.14 now)",)
    assert run.about == {"torch": "2.13", "threads": 2}
    assert [again["about"]["torch"] for again in run.meta["resumed"]] == ["2.14"]
    with begin(path, about={"torch": "2.13", "threads": 2}) as run:
        assert run.warnings == ()


def test_a_run_says_how_far_it_came(path):
    with begin(path) as run:
        run.note(plan={"cells": ["0/main/0/0"]}, papers=["holm1979"])
        with pytest.raises(ValueError, match="asked"):
            run.note(asked={})
        assert (run.state, Run.look(path).state) == ("running", "running")
    assert Run.look(path).state == "partial"
    with begin(path) as run:
        run.finish("failed", why="no room")
    assert Run.look(path).state == "failed"
    with begin(path) as run:
        assert run.state == "running"
        run.finish("complete", cost={"seconds": 1.0})
    with Run.look(path) as run:
        assert (run.state, run.meta["cost"], run.meta["why"]) == ("complete", {"seconds": 1.0}, "no room")
        assert run.meta["plan"] == {"cells": ["0/main/0/0"]}
        assert run.meta["finished"]
        with pytest.raises(ValueError, match="looking"):
            run.finish("failed")


def test_a_finished_run_that_is_opened_again_is_not_written(path):
    with begin(path) as run:
        run.append("cell", "a", {})
        run.finish("complete")
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}
    with begin(path) as run:
        assert run.state == "complete"
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}
    assert after["run.json"] == before["run.json"]
    assert after["records.sqlite"][0] == before["records.sqlite"][0]


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"{}", b'{"schema": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_a_torn_description_is_refused_and_left_as_it_is(path, torn):
    begin(path).close()
    (path / "run.json").write_bytes(torn)
    for act in (lambda: begin(path), lambda: Run.look(path)):
        error = refusal(act)
        assert (error.kind, error.where) == ("run", str(path / "run.json"))
    assert (path / "run.json").read_bytes() == torn


@pytest.mark.parametrize("strange", [b"not a database, but long enough" * 99, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_records_of_another_kind_are_refused_and_left_as_they_are(path, strange):
    begin(path).close()
    (path / "records.sqlite").write_bytes(strange)
    for act in (lambda: begin(path), lambda: Run.look(path)):
        error = refusal(act)
        assert (error.kind, error.where) == ("run", str(path / "records.sqlite"))
    assert (path / "records.sqlite").read_bytes() == strange


def test_a_database_with_another_table_of_that_name_is_refused(path):
    begin(path).close()
    (path / "records.sqlite").unlink()
    with sqlite3.connect(path / "records.sqlite") as database:
        database.execute("CREATE TABLE records(x)")
    assert refusal(lambda: begin(path)).kind == "run"
    assert refusal(lambda: Run.look(path)).kind == "run"


def test_a_body_that_is_no_json_is_refused_by_its_key(path):
    with begin(path) as run:
        run.append("cell", "a", {})
    with sqlite3.connect(path / "records.sqlite") as database:
        database.execute("UPDATE records SET body = '{\"x\": NaN}'")
    assert "record cell a" in refusal(lambda: Run.look(path).read("cell")).message


def test_there_is_no_run_where_none_was_begun(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "absent", tmp_path / "file", tmp_path / "file" / "deeper"):
        assert refusal(lambda place=place: Run.look(place)).kind == "run"


def test_a_directory_of_something_else_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    error = refusal(lambda: begin(tmp_path))
    assert (error.kind, "thesis.tex" in error.message) == ("run", True)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    assert refusal(lambda: begin(tmp_path / "thesis.tex")).kind == "run"


def test_a_run_that_was_stopped_before_its_first_record_can_be_read_and_taken_up(path):
    begin(path).close()
    for leave in (b"", None):
        (path / "records.sqlite").unlink()
        if leave is not None:
            (path / "records.sqlite").write_bytes(leave)
        with Run.look(path) as run:
            assert (run.kinds(), run.state) == ({}, "partial")
    begin(path).close()


def test_the_same_question_finds_its_run_again():
    first = default_dir("audit", {"seed": 3, "sizes": (1, 2)})
    assert first == default_dir("audit", Point(seed=3, sizes=(1, 2)))
    assert first == default_dir("audit", {"sizes": [1, 2], "seed": 3})
    assert first != default_dir("audit", {"sizes": [1, 2], "seed": 4})
    assert first.parent == Path("runs")
    assert first.name.removeprefix("audit-").isalnum()
    assert len(first.name) == len("audit-") + 8


def found(path, **more):
    """What `finished` answers to the question of `begin`, changed by `more`."""
    return Run.finished(path, **({"command": "audit", "asked": ASKED, "identity": IDENTITY} | more))


def test_a_finished_run_of_the_same_question_is_given_to_be_read_and_no_other(path):
    assert found(path) is None
    with begin(path) as run:
        run.append("cell", "a", {"x": 1})
        assert found(path) is None
        run.finish("failed")
        assert found(path) is None
        run.finish("complete")
    with found(path) as run:
        assert run.get("cell", "a") == {"x": 1}
        with pytest.raises(ValueError, match="looking only"):
            run.note(x=1)
    for other in ({"command": "resist"}, {"asked": ASKED | {"more": 1}}, {"identity": {"data": "another"}}):
        assert found(path, **other) is None


def test_whoever_reads_a_finished_run_takes_no_lock(path):
    with begin(path) as run:
        run.finish("complete")
        with found(path) as read:
            assert read.state == "complete"
    with found(path), found(path):
        begin(path).close()


def test_a_finished_run_of_another_version_is_left_to_open_which_refuses_it_by_name(path):
    with begin(path) as run:
        run.finish("complete")
    meta = json.loads((path / "run.json").read_text("utf-8"))
    (path / "run.json").write_text(json.dumps(meta | {"springback": "0.0.1"}), "utf-8")
    assert found(path) is None
    assert "another version" in refusal(lambda: begin(path)).message


def test_a_question_of_tuples_is_that_of_the_lists_which_json_made_of_them(path):
    with Run.open(path, command="audit", asked={"sizes": (1, 2)}, identity={}) as run:
        run.finish("complete")
    with Run.finished(path, command="audit", asked={"sizes": (1, 2)}, identity={}) as run:
        assert run.state == "complete"


def test_finding_a_finished_run_needs_no_torch(path):
    with begin(path) as run:
        run.finish("complete")
    code = "import sys\nsys.modules['torch'] = None\nfrom pathlib import Path\nfrom springback.store.run import Run\n"
    code += f"run = Run.finished(Path({str(path)!r}), command='audit', asked={ASKED!r}, identity={IDENTITY!r})\n"
    code += "print(run.state)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "complete", said.stderr
