import json
import subprocess
import sys

import pytest

from springback.cli.main import app
from springback.models.tiny import save_folder, tiny


def said(capsys, *words):
    code = app([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


CONTENTS = {
    "korean": "한국어 문장\r\n두 번째 줄".encode(),
    "emoji": "🙂👩‍👩‍👧‍👦 <|im_end|>".encode(),
    "empty": b"",
    "no UTF-8": b"\xff\xfe\x00ab",
    "byte order mark": "\ufeffa\tb\r".encode(),
}


@pytest.mark.parametrize("name", [*CONTENTS])
def test_what_was_packed_comes_back(tmp_path, capsys, name):
    (tmp_path / "a").write_bytes(CONTENTS[name])
    code, _ = said(capsys, "compress", tmp_path / "a", "--model", "tiny", "--verify", "--out", tmp_path / "b.sbz")
    assert code == 0
    code, found = said(capsys, "decompress", tmp_path / "b.sbz")
    assert (code, found["result"]) == (0, {"file": str(tmp_path / "b"), "bytes": len(CONTENTS[name])})
    assert (tmp_path / "b").read_bytes() == CONTENTS[name]


def test_another_process_gives_it_back(tmp_path, capsys):
    (tmp_path / "a").write_bytes(CONTENTS["korean"] * 3)
    said(capsys, "compress", tmp_path / "a", "--model", "tiny", "--blocks", "4", "--out", tmp_path / "b.sbz")
    words = [sys.executable, "-m", "springback", "decompress", str(tmp_path / "b.sbz"), "--to", str(tmp_path / "c")]
    subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "c").read_bytes() == CONTENTS["korean"] * 3


@pytest.fixture
def archive(tmp_path, capsys):
    (tmp_path / "a").write_text("some text")
    said(capsys, "compress", tmp_path / "a", "--model", "tiny", "--out", tmp_path / "b.sbz")
    return tmp_path / "b.sbz"


def test_a_flipped_byte_is_refused_and_nothing_is_written(archive, tmp_path, capsys):
    whole = archive.read_bytes()
    for place in (0, 9, 200, len(whole) - 40, len(whole) - 1):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        code, found = said(capsys, "decompress", archive, "--to", tmp_path / "c")
        assert (code, found["status"]) == (2, "refused")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.sbz"]


def test_another_model_is_refused_by_the_names_of_both(archive, tmp_path, capsys):
    save_folder(tiny(1), tmp_path / "other")
    code, found = said(capsys, "decompress", archive, "--model", tmp_path / "other", "--to", tmp_path / "c")
    assert (code, found["error"]["kind"]) == (2, "model")
    assert "tiny-0" in found["error"]["message"]
    assert "other" in found["error"]["message"]
    assert not (tmp_path / "c").exists()


def test_a_name_without_the_ending_needs_a_place(archive, tmp_path, capsys):
    archive.rename(tmp_path / "packed")
    assert said(capsys, "decompress", tmp_path / "packed")[0] == 2
    assert said(capsys, "decompress", tmp_path / "packed", "--to", tmp_path / "c")[0] == 0


def test_a_file_that_is_no_archive_is_refused(tmp_path, capsys):
    (tmp_path / "a.sbz").write_text("text")
    code, found = said(capsys, "decompress", tmp_path / "a.sbz")
    assert code == 2
    assert "is not an archive" in found["error"]["message"]
