import pytest

from springback.errors import RefusedError
from springback.store.sealed import seal, unseal

MAGIC = b"magic\0\r\n"


def test_header_and_payload_come_back(tmp_path):
    size = seal(tmp_path / "a", MAGIC, {"name": "한글", "of": [1, None]}, b"\0payload\xff")
    assert size == (tmp_path / "a").stat().st_size
    assert unseal(tmp_path / "a", MAGIC, kind="ours") == ({"name": "한글", "of": [1, None]}, b"\0payload\xff")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_cut_off_anywhere_or_longer_is_refused(tmp_path):
    seal(tmp_path / "a", MAGIC, {"n": 1}, b"payload")
    whole = (tmp_path / "a").read_bytes()
    for wrong in [*(whole[:upto] for upto in range(len(whole))), whole + b"\0"]:
        (tmp_path / "b").write_bytes(wrong)
        with pytest.raises(RefusedError):
            unseal(tmp_path / "b", MAGIC, kind="ours")


def test_another_kind_of_file_is_named_as_such(tmp_path):
    (tmp_path / "a").write_bytes(b"PK\3\4" * 20)
    with pytest.raises(RefusedError, match="is not ours"):
        unseal(tmp_path / "a", MAGIC, kind="ours")


def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(RefusedError, match="cannot be written"):
        seal(tmp_path / "missing" / "a", MAGIC, {}, b"")
    assert list(tmp_path.iterdir()) == []
