import json
from collections import Counter

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from springback.cli.main import app
from springback.models.tiny import save_folder, tiny


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
    assert not {"archive", "verified", "codes"} & set(found)


def test_a_file_that_is_no_text_is_refused_with_its_byte(ask, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ab\xff")
    code, said = ask(tmp_path / "a.txt")
    assert (code, said["status"]) == (2, "refused")
    assert said["error"]["where"].endswith("a.txt:byte 2")


def test_no_file_is_refused(ask):
    code, said = ask()
    assert (code, said["error"]["kind"]) == (2, "option")


def test_a_verified_code_is_no_longer_than_the_cross_entropy_allows(ask, tmp_path):
    (tmp_path / "a.txt").write_text("some text 한글 🙂\r\n")
    (tmp_path / "b.txt").write_text("more")
    code, said = ask(tmp_path / "a.txt", tmp_path / "b.txt", "--verify")
    assert (code, said["result"]["verified"]) == (0, True)
    for file, found in zip(said["result"]["files"], said["result"]["codes"], strict=True):
        assert found["coder"] == "model"
        assert (
            file["code_bits"] - 0.01 < found["code_bits"] <= file["code_bits"] + 2 + found["quantisation_bits"] + 0.01
        )
        assert 8 * found["payload_bytes"] - 8 < found["code_bits"] <= 8 * found["payload_bytes"]


def test_people_are_told_bound_and_archive(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("some text")
    assert app(["compress", str(tmp_path / "a.txt"), "--model", "tiny", "--out", str(tmp_path / "a.sbz")]) == 0
    said = capsys.readouterr().out
    assert "(quantisation)" in said
    assert f"archive: {tmp_path / 'a.sbz'}" in said


@pytest.mark.parametrize(
    "words",
    [
        ["a.txt", "b.txt", "--out", "x.sbz"],
        ["a.txt", "--out", "x.zip"],
        ["a.txt", "--out", "missing/x.sbz"],
        ["a.txt", "--out", "x.sbz", "--read", "answers"],
        ["a.txt", "--verify", "--read", "answers"],
        ["a.txt", "--blocks", "2"],
        ["a.txt", "--token-bits", "x.csv"],
        ["a.txt", "--token-bits", "missing/x.parquet"],
        ["missing.txt", "--read", "answers"],
        ["a.txt", "--bos", "nothing"],
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(ask, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text")
    code, said = ask(*words)
    assert (code, said["status"]) == (2, "refused")
    assert said["error"]["next"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_an_archive_is_never_its_own_source(ask, tmp_path):
    (tmp_path / "a.sbz").write_text("text")
    assert ask(tmp_path / "a.sbz", "--out", tmp_path / "a.sbz")[0] == 2
    assert (tmp_path / "a.sbz").read_text() == "text"


def columns(path):
    if path.suffix == ".safetensors":
        return {name: values.tolist() for name, values in load_file(path).items()}
    from pyarrow import parquet

    return parquet.read_table(path).to_pydict()


@pytest.mark.parametrize("name", ["bits.safetensors", "bits.parquet"])
def test_the_bits_of_all_tokens_are_those_of_their_files(ask, tmp_path, name):
    (tmp_path / "a.txt").write_text("some text")
    (tmp_path / "b.txt").write_text("more")
    _, said = ask(tmp_path / "a.txt", tmp_path / "b.txt", "--token-bits", tmp_path / name)
    found, total = columns(tmp_path / name), Counter()
    for file, bits in zip(found["file"], found["bits"], strict=True):
        total[file] += bits
    assert [total[0], total[1]] == pytest.approx([file["code_bits"] for file in said["result"]["files"]])
    assert bytes(tiny().tokenizer.decode(found["token_id"]), "utf-8") == b"some textmore"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.txt", "b.txt", name])


def test_token_bits_say_which_files_and_which_model(ask, tmp_path):
    (tmp_path / "a.txt").write_text("some text")
    ask(tmp_path / "a.txt", "--token-bits", tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        about = file.metadata()
    assert json.loads(about["files"]) == [str(tmp_path / "a.txt")]
    assert about["model"] == tiny().weights_sha256


def test_a_call_that_fails_leaves_no_token_bits(ask, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    code, _ = ask(tmp_path / "a.jsonl", "--read", "answers", "--token-bits", tmp_path / "x.safetensors")
    assert code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_answers_are_counted(ask, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "dé"}\n')
    _, said = ask(tmp_path / "a.jsonl", "--read", "answers")
    (file,) = said["result"]["files"]
    assert (file["answers"], file["bytes"], said["result"]["gamma"]["micro"]["n"]) == (2, 4, 2)
    assert said["result"]["policy"]["eos"] == "<|im_end|>"


def test_a_model_in_a_folder_packs_too(tmp_path, capsys):
    folder = save_folder(tiny(3, layers=1, hidden=32, heads=2), tmp_path / "model")
    (tmp_path / "a.txt").write_text("some text")
    words = ["compress", str(tmp_path / "a.txt"), "--out", str(tmp_path / "a.sbz"), "--model", str(folder), "--json"]
    assert app(words) == 0
    assert json.loads(capsys.readouterr().out)["result"]["archive"]["bytes"] == (tmp_path / "a.sbz").stat().st_size
