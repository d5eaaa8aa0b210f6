"""What scripts may rely on: one JSON object, one exit code, no traceback, and a quick `--help`."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from springback import __version__
from springback.cli.answer import intervals
from springback.cli.main import COMMANDS, app

PLANTED = str(Path(__file__).with_name("planted.py"))
EXITS = {
    "done": 0,
    "bug": 1,
    "nan": 1,
    "object": 1,
    "refused": 2,
    "not_reportable": 3,
    "gate_failed": 4,
    "interrupt": 130,
    "stopped": 130,
}


def call(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONUTF8": "1", **(environment or {})}
    return subprocess.run([sys.executable, PLANTED, *words], capture_output=True, text=True, env=env, check=False)


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(word)

    assert text.endswith("}\n")
    assert text.count("\n") == 1
    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(("way", "code"), EXITS.items())
def test_with_json_every_ending_is_one_object_and_its_exit_code(way, code):
    done = call("plant", way, "--json")
    body = strict(done.stdout)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert {name: body[name] for name in ("springback", "schema", "command")} == {
        "springback": __version__,
        "schema": 1,
        "command": "plant",
    }
    statuses = {"bug": "failed", "nan": "failed", "object": "failed", "interrupt": "interrupted"}
    assert body["status"] == (statuses | {"stopped": "interrupted"}).get(way, way)
    if code in (0, 3, 4):
        assert body.keys() == {"springback", "schema", "command", "status", "run", "result", "warnings"}
    else:
        assert body.keys() == {"springback", "schema", "command", "status", "error"}
        assert body["error"].keys() == {"kind", "message", "where", "next"}
        assert body["error"]["message"]
        assert body["error"]["next"]


@pytest.mark.parametrize(("way", "code"), EXITS.items())
def test_without_json_people_read_words_and_scripts_the_same_exit_code(way, code):
    done = call("plant", way)
    assert "Traceback" not in done.stderr
    if way in ("nan", "object"):  # only JSON has no word for these
        assert done.returncode == 0
        return
    assert done.returncode == code
    assert (done.stdout == "a finding\n") == (code in (0, 3, 4))
    assert done.stderr.startswith("springback: ") == (code not in (0, 3, 4))


def test_a_refusal_says_what_where_and_what_next():
    done = call("plant", "refused", "--json")
    assert strict(done.stdout)["error"] == {
        "kind": "data",
        "message": "no such row",
        "where": "data.jsonl:17",
        "next": "Mend it.",
    }
    assert done.stderr == "springback: no such row\n  where: data.jsonl:17\n  next:  Mend it.\n"


def test_a_fault_of_ours_is_one_line_and_its_traceback_is_there_on_request():
    done = call("plant", "bug")
    assert done.stderr.splitlines()[0] == "springback: KeyError: 'spring'"
    assert "SPRINGBACK_TRACE=1" in done.stderr
    traced = call("plant", "bug", "--json", environment={"SPRINGBACK_TRACE": "1"})
    assert "Traceback" in traced.stderr
    assert strict(traced.stdout)["status"] == "failed"


def test_a_command_that_cannot_be_imported_fails_alone():
    done = call("broken", "--json")
    assert (done.returncode, strict(done.stdout)["status"]) == (1, "failed")
    assert "Traceback" not in done.stderr
    assert call("--help").returncode == 0


def test_with_json_nothing_else_reaches_standard_output_not_even_from_a_child():
    done = call("plant", "noise", "--json")
    body = strict(done.stdout)
    assert (body["run"], body["warnings"]) == ("runs/x", ["thin data"])
    for words in ("a library prints", "a child prints", "a library warns"):
        assert words in done.stderr


def test_text_of_a_model_cannot_steer_the_terminal():
    assert call("plant", "noise").stdout.splitlines()[-1] == "\\x1b[31mred\\x1b[0m\ttab 한글 \\ud800"


def test_a_terminal_that_knows_only_ascii_gets_escapes_not_an_error():
    done = call("plant", "noise", environment={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii:strict"})
    assert (done.returncode, done.stdout.splitlines()[-1].isascii()) == (0, True)


def test_warnings_are_told_unless_quiet():
    assert "springback: warning: thin data\n" in call("plant", "noise").stderr
    assert "thin data" not in call("plant", "noise", "--quiet").stderr


def test_a_reader_that_has_seen_enough_is_no_error():
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, PLANTED, "plant", "long"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.read(read, 4)
    os.close(read)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


def test_nobody_at_all_who_reads_is_no_error():
    read, write = os.pipe()
    os.close(read)
    assert subprocess.run([sys.executable, PLANTED, "plant", "refused"], stdout=write, stderr=write).returncode == 2
    os.close(write)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("plant", "done", "--sises", "3"), "--sises", "--sizes"),
        (("plant", "done", "--rate", "x"), '"x"', "plant --help"),
        (("plant", "done", "--sizes", "1,x"), '"x"', "plant --help"),
        (("plant", "dome"), '"dome"', '"done"'),
        (("plant",), "--way", "plant --help"),
        (("plant", "done", "more"), "more", "plant --help"),
        (("plannt", "done"), "plannt", "audit"),
        (("audti",), "audti", "Did you mean audit?"),
        (("--sede", "3"), "--sede", "audit"),
        (("runs", "export", "x", "--format", "cvs"), '"cvs"', '"csv"'),
        (("lots",), "--words", "--help"),
    ],
)
def test_what_cannot_be_parsed_is_refused_with_the_nearest_thing(words, message, hint):
    done = call(*words, "--json")
    error = strict(done.stdout)["error"]
    assert (done.returncode, error["kind"]) == (2, "option")
    assert message in error["message"]
    assert hint in error["next"]
    spoken = call(*words)
    assert (spoken.returncode, spoken.stdout) == (2, "")
    assert spoken.stderr.startswith("springback: ")


def test_several_values_are_separated_by_commas_or_given_one_by_one():
    for words in (["--sizes", "16,64"], ["--sizes=16,64"], ["--sizes", "16", "--sizes", "64"], ["--sizes", "16, 64"]):
        assert strict(call("plant", "done", *words, "--json").stdout)["result"]["sizes"] == [16, 64]


def test_a_negative_number_is_a_value():
    assert strict(call("plant", "done", "--rate", "-1e-4", "--json").stdout)["result"]["rate"] == -1e-4


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["runs", "--help"], ["cite", "--help"], ["runs"]])
def test_help_and_what_reads_runs_import_neither_torch_nor_transformers(words, tmp_path):
    code = "import sys, runpy; sys.argv = ['springback', *sys.argv[1:]]\n"
    code += "try: runpy.run_module('springback', run_name='__main__')\nexcept SystemExit as end: assert not end.code\n"
    code += "print(*(set(sys.modules) & {'torch', 'transformers', 'numpy', 'sklearn'}), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stderr == "\n"


def test_the_help_names_every_command_and_asks_no_command_module_for_it(capsys):
    imported = set(sys.modules)
    assert app(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and line[2] not in " -"] == list(
        COMMANDS
    )
    assert not {f"springback.cli.{name}" for name in COMMANDS} & (set(sys.modules) - imported)


def test_help_shows_type_default_and_the_words_under_a_field(capsys):
    app(["runs", "export", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--format CHOICE csv, or parquet (needs the extra `parquet`). [csv|parquet] [default: csv]" in shown
    assert "RUN, --run Directory of the run. [required]" in shown
    assert "[default: off]" in shown


def test_the_version_is_printed(capsys):
    assert app(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_python_m_springback_is_the_same_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["springback", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("springback", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_an_interval_that_is_open_on_one_side_has_no_ends_but_a_bound():
    whole = {"estimate": 2.0, "low": 1.0, "high": 3.0, "n": 9}
    found = intervals(
        {"a": [whole, whole | {"high": None}], "b": whole | {"low": None, "high": None}, "c": {"low": None}}
    )
    assert found["a"] == [whole, {"estimate": 2.0, "n": 9, "at_least": 1.0}]
    assert found["b"] == {"estimate": 2.0, "n": 9}
    assert found["c"] == {"low": None}
