import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from springback.errors import RefusedError
from springback.store.export import export, flat
from springback.store.run import Run

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Run.open(tmp_path / "run", command="audit", asked={}, identity={}) as run:
        run.append("cell", "0/main/0/0", {"seed": 0, "score": {"estimate": -0.5, "why": None}, "ids": [1, 2]})
        run.append("cell", "0/main/8/0", {"seed": 0, "score": {"estimate": None, "why": "few"}, "ok": True})
        for index, text in enumerate([*HOSTILE, 'a "quoted", line\nand 한글 \ud800', "1-2", ""]):
            run.append("sample", str(index), {"answer": text, "=head": 1})
    return tmp_path / "run"


def tables(run: Path, into: Path, **options: Any) -> dict[str, Path]:
    with Run.look(run) as looked:
        return {table.kind: Path(table.file) for table in export(looked, into, **options)}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_nested_fields_get_dotted_names_and_lists_stay_values():
    body = {"a": {"b": {"c": 1}, "d": [1, {"e": 2}], "f": {}}, "g": None}
    assert flat(body) == {"a.b.c": 1, "a.d": [1, {"e": 2}], "a.f": {}, "g": None}


def test_csv_holds_every_record_and_every_field(run, tmp_path):
    cells = rows(tables(run, tmp_path / "out", format="csv")["cell"])
    assert cells[0] == {
        "key": "0/main/0/0",
        "seed": "0",
        "score.estimate": "-0.5",
        "score.why": "",
        "ids": "[1, 2]",
        "ok": "",
    }
    assert (cells[1]["score.estimate"], cells[1]["score.why"], cells[1]["ok"]) == ("", "few", "true")


def test_no_text_in_csv_is_a_formula_to_a_spreadsheet(run, tmp_path):
    found = rows(tables(run, tmp_path / "out", format="csv")["sample"])
    assert [row["answer"] for row in found] == [
        *(f"'{text}" for text in HOSTILE),
        'a "quoted", line\nand 한글 \\ud800',
        "1-2",
        "",
    ]
    assert list(found[0]) == ["key", "answer", "'=head"]


def test_parquet_keeps_types_and_texts(run, tmp_path):
    files = tables(run, tmp_path / "out", format="parquet", kinds=("cell",))
    assert list(files) == ["cell"]
    table = parquet.read_table(files["cell"]).to_pylist()
    assert table[0]["score.estimate"] == -0.5
    assert table[1]["score.estimate"] is None
    assert [row["ids"] for row in table] == [[1, 2], None]


def test_parquet_writes_values_of_several_types_as_json(tmp_path):
    with Run.open(tmp_path / "run", command="audit", asked={}, identity={}) as run:
        for index, value in enumerate([1, "=x", [1, "a"], None]):
            run.append("odd", str(index), {"value": value})
    file = tables(tmp_path / "run", tmp_path / "out", format="parquet")["odd"]
    assert parquet.read_table(file)["value"].to_pylist() == ["1", '"=x"', '[1, "a"]', None]


def test_parquet_without_pyarrow_is_refused_with_the_extra_that_helps(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RefusedError) as caught:
        tables(run, tmp_path / "out", format="parquet")
    assert "springback[parquet]" in caught.value.next
    assert not (tmp_path / "out").exists()


def test_a_kind_that_the_run_has_not_is_refused_with_those_it_has(run, tmp_path):
    with pytest.raises(RefusedError) as caught:
        tables(run, tmp_path / "out", format="csv", kinds=("sell",))
    assert "cell, sample" in caught.value.next
    assert not (tmp_path / "out").exists()


def test_a_kind_that_would_leave_the_directory_is_refused(tmp_path):
    with Run.open(tmp_path / "run", command="audit", asked={}, identity={}) as run:
        run.append("../evil", "a", {})
    with pytest.raises(RefusedError):
        tables(tmp_path / "run", tmp_path / "out", format="csv")
    assert not (tmp_path / "evil.csv").exists()


def test_an_export_that_fails_leaves_the_earlier_one_whole(run, tmp_path, monkeypatch):
    file = tables(run, tmp_path / "out", format="csv")["sample"]
    before = file.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("springback.store.export.os.fsync", full)
    with pytest.raises(RefusedError) as caught:
        tables(run, tmp_path / "out", format="csv", kinds=("sample",))
    assert caught.value.kind == "disk"
    assert file.read_bytes() == before
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["cell.csv", "sample.csv"]
