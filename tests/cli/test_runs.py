import json
from pathlib import Path
from typing import Any

import pytest

from springback.cli.main import app
from springback.store.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "one"
    with Run.open(path, command="audit", asked={}, identity={}) as run:
        run.note(plan={"cells": ["a", "b"]})
        run.append("cell", "a", {"seed": 0})
        run.append("verdict", "verdict", {"label": "holds"})
        run.finish("complete")
    return path


@pytest.fixture
def ask(capfd):
    def ask(*words: str, code: int = 0) -> Any:
        assert app([*words, "--json"]) == code
        body = json.loads(capfd.readouterr().out)
        return body["result"] if code == 0 else body["error"]

    return ask


def test_runs_are_listed_with_the_keys_of_the_contract(run, ask):
    for words in (("runs", "list", str(run.parent)), ("runs", str(run.parent)), ("runs", "list", str(run))):
        (found,) = ask(*words)["runs"]
        assert found.keys() == {"run", "command", "state", "cells", "verdict", "bytes", "at"}
        assert (found["run"], found["command"], found["state"]) == (str(run), "audit", "complete")
        assert (found["cells"], found["verdict"]) == ({"planned": 2, "done": 1}, "holds")


def test_without_a_directory_it_is_runs_and_there_may_be_none(run, ask, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    assert [one["run"] for one in ask("runs")["runs"]] == ["runs/one"]
    monkeypatch.chdir(run)
    assert ask("runs", "list")["runs"] == []


def test_people_read_one_line_a_run(run, capsys):
    assert app(["runs", "list", str(run.parent)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert all(word in line for word in (str(run), "complete", "1/2 cells", "holds", "MB"))


def test_a_run_is_removed(run, ask):
    assert [one["run"] for one in ask("runs", "rm", str(run))["runs"]] == [str(run)]
    assert not run.exists()
    assert ask("runs", "rm", str(run), code=2)["kind"] == "run"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_records_are_exported_beside_the_run_or_where_one_says(run, ask, tmp_path, form):
    files = ask("runs", "export", str(run), "--format", form)["files"]
    assert [(one["kind"], one["rows"]) for one in files] == [("cell", 1), ("verdict", 1)]
    assert all(Path(one["file"]).stat().st_size == one["bytes"] for one in files)
    assert Path(files[0]["file"]) == run / "export" / f"cell.{form}"
    (only,) = ask("runs", "export", str(run), "--kinds", "verdict", "--out", str(tmp_path / "out"))["files"]
    assert only["file"] == str(tmp_path / "out" / "verdict.csv")


def test_a_directory_without_a_run_is_refused(tmp_path, ask):
    for words in (("runs", "export", str(tmp_path)), ("runs", "rm", str(tmp_path))):
        assert ask(*words, code=2)["where"] == str(tmp_path)
    assert ask("runs", "list", str(tmp_path / "absent"), code=2)["where"] == str(tmp_path / "absent")
