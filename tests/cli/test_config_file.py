import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from springback.cli.config_file import LARGEST, Given, read
from springback.errors import RefusedError

PLANTED = str(Path(__file__).with_name("planted.py"))


def call(*words: str) -> tuple[int, Any]:
    done = subprocess.run([sys.executable, PLANTED, *words, "--json"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.yaml"


def test_options_come_from_the_file_and_numbers_are_numbers(file):
    file.write_text("way: done\nrate: 1e-4\nsizes: [16, 64]  # nested\nquiet: true\n")
    assert call("plant", "--config", str(file))[1]["result"] == {"sizes": [16, 64], "rate": 1e-4, "quiet": True}


def test_the_command_line_wins(file):
    file.write_text("way: refused\nrate: 1e-4\nsizes: [16, 64]\n")
    code, body = call("plant", "done", "--rate", "2", "--sizes", "8", "--config", str(file))
    assert (code, body["result"]) == (0, {"sizes": [8], "rate": 2.0, "quiet": False})


def test_words_stay_words(file):
    file.write_text('words: [no, 1e-4, "08", 2024-01-01, "null", "yes: no", 0x10]\n')
    code, body = call("lots", "--config", str(file))
    assert (code, body["result"]["words"]) == (0, ["no", "1e-4", "08", "2024-01-01", "null", "yes: no", "0x10"])


def test_a_comma_separates_in_the_file_as_on_the_command_line(file):
    file.write_text("way: done\nsizes: 16,64\n")
    assert call("plant", "--config", str(file))[1]["result"]["sizes"] == [16, 64]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("way: done\nsises: 3\n", 2, "Did you mean sizes?"),
        ("way: done\nrate: x\n", 2, "plant --help"),
        ("rate: 1\n\nway: dome\n", 3, '"done"'),
        ("way: done\nconfig: other.yaml\n", 2, "--help"),
        ("way: done\nrate: [1, 2]\n", 2, "one option a line"),
        ("way: done\nrate:\n", 2, "one option a line"),
        ("way: done\nsizes: []\n", 2, "one option a line"),
        ("way: done\nsizes: {a: 1}\n", 2, "one option a line"),
        ("way: done\nrate: 1\nrate: 2\n", 3, "one option a line"),
        ("way: done\n? [a]\n: 1\n", 2, "one option a line"),
        ("- way\n", 1, "one option a line"),
        ("way: [\n", 2, "one option a line"),
        ("way: !!python/object/apply:os.system [echo]\n", 1, ""),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_line(file, text, line, words):
    file.write_text(text)
    code, body = call("plant", "--config", str(file))
    assert (code, body["status"]) == (2, "refused")
    assert body["error"]["where"] == f"{file}:{line}"
    assert words in body["error"]["next"]


def test_a_file_that_cannot_be_read_is_refused_by_its_name(file):
    for prepare in (lambda: None, lambda: file.write_bytes(b"\xff"), lambda: file.write_text("x" * (LARGEST + 1))):
        prepare()
        with pytest.raises(RefusedError) as caught:
            list(read(file))
        assert (caught.value.kind, caught.value.where) == ("config", str(file))


def test_an_empty_file_asks_for_nothing(file):
    file.write_text("# nothing\n")
    assert list(read(file)) == []


def test_a_name_may_be_written_with_either_dash(file):
    file.write_bytes(b"\xef\xbb\xbfalign_sizes: 3\r\nalign-size: 4\r\n")
    assert list(read(file)) == [Given("align-sizes", ("3",), f"{file}:1"), Given("align-size", ("4",), f"{file}:2")]
    file.write_text("align_sizes: 3\nalign-sizes: 3\n")
    with pytest.raises(RefusedError):
        list(read(file))


def test_a_bomb_of_aliases_is_refused(file):
    lines = ["a: &a [x, x]"] + [f"{chr(ord('b') + i)}: &{chr(ord('b') + i)} [*{chr(ord('a') + i)}]" for i in range(20)]
    file.write_text("\n".join(lines))
    with pytest.raises(RefusedError):
        list(read(file))
    file.write_text("[" * 5000)
    with pytest.raises(RefusedError):
        list(read(file))
