import json

from tests.report.example_run import Example

from springback.cli.main import app

RUN = Example(sizes=(64,), reversals=(8,), samples=1, pairs=1)


def called(capsys, *words) -> tuple[int, dict]:
    code = app([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_page_of_one_run_is_written_into_the_run(tmp_path, capsys):
    run = RUN.stored(tmp_path / "run")
    code, answer = called(capsys, "report", run)
    assert code == 0
    assert answer["result"] == {"report": str(run / "report.html"), "bytes": (run / "report.html").stat().st_size}
    assert answer["run"] == str(run)


def test_people_get_the_path_and_nothing_else(tmp_path, capsys):
    run = RUN.stored(tmp_path / "run")
    assert app(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"


def test_several_runs_are_compared_where_one_says(tmp_path, capsys):
    runs = [RUN.stored(tmp_path / name) for name in ("one", "two")]
    code, answer = called(capsys, "report", *runs, "--out", tmp_path / "both.html")
    assert (code, answer["result"]["report"]) == (0, str(tmp_path / "both.html"))
    assert (tmp_path / "both.html").stat().st_size == answer["result"]["bytes"]


def test_what_is_no_run_is_refused_and_nothing_is_written(tmp_path, capsys):
    code, answer = called(capsys, "report", tmp_path / "nowhere")
    assert (code, answer["error"]["kind"]) == (2, "run")
    assert not list(tmp_path.iterdir())


def test_no_run_at_all_and_a_useless_option_are_refused(tmp_path, capsys):
    assert called(capsys, "report")[1]["error"]["where"] == "RUN"
    run = RUN.stored(tmp_path / "run")
    code, answer = called(capsys, "report", run, "--out", tmp_path / "x.html")
    assert (code, answer["error"]["where"]) == (2, "--out")
    assert not (tmp_path / "x.html").exists()
