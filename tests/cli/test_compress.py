import json

import pytest

from springback.cli.main import app


@pytest.fixture
def ask(capsys):
    def _ask(*words):
        code = app(["compress", *map(str, words), "--model", "tiny", "--json"])
        return code, json.loads(capsys.readouterr().out)

    return _ask


def test_the_answer_has_the_keys_of_the_contract(ask, tmp_path):
    (tmp_path / "a.txt").write_text("some text")
    (tmp_path / "b.txt").write_text("some more text")
    code, said = ask(tmp_path / "a.txt", tmp_path / "b.txt", "--window", 16, "--stride", 4)
    assert code == 0
    found = said["result"]
    assert set(found["files"][0]) == {"file", "bytes", "tokens", "code_bits", "gamma", "tail_truncated_bytes"}
    assert set(found["policy"]) == {"bos", "eos", "window", "stride"}
    assert (found["policy"]["window"], found["policy"]["stride"]) == (16, 4)
    assert set(found["gamma"]) == {"micro", "macro"}
    assert found["gamma"]["micro"]["low"] <= found["gamma"]["micro"]["estimate"] <= found["gamma"]["micro"]["high"]
    assert found["gamma"]["micro"]["n"] == 2


def test_a_file_that_is_no_text_is_refused_with_its_byte(ask, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    code, said = ask(tmp_path / "a.txt")
    assert (code, said["status"]) == (2, "refused")
    assert said["error"]["where"].endswith("a.txt:byte 2")


def test_no_file_is_refused(ask):
    code, said = ask()
    assert (code, said["error"]["kind"]) == (2, "option")
