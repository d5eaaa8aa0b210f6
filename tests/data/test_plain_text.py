import pytest

from springback.data.plain_text import read_texts
from springback.errors import RefusedError


def test_a_file_is_read_exactly_as_it_is(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffé\r\nb".encode())
    (text,) = read_texts([tmp_path / "a.txt"])
    assert text.text == "\ufeffé\r\nb"
    assert text.bytes == 8


@pytest.mark.parametrize(
    ("content", "words"), [(b"abc\xffd", "byte 3 .0xff."), ("é".encode()[:1], "byte 0"), (b"", "empty")]
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(RefusedError, match=words) as refused:
        read_texts([tmp_path / "a.txt"])
    assert "a.txt" in str(refused.value.where)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(RefusedError, match="cannot be read"):
            read_texts([path])
