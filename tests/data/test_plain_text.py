import pytest

from springback.data.plain_text import PIECE_BYTES, look, require_text
from springback.errors import RefusedError


def test_a_file_is_read_exactly_as_it_is(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffé\r\nb".encode())
    text = look(tmp_path / "a.txt")
    assert list(text.pieces()) == ["\ufeffé\r\nb"]
    assert (text.bytes, text.fault) == (8, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"abc\xffd", "byte 3 .0xff."),
        ("é".encode()[:1], "byte 0 .0xc3."),
        (b"a" * (PIECE_BYTES - 1) + "é".encode() + b"\xfe", f"byte {PIECE_BYTES + 1} .0xfe."),
        (b"a" * (PIECE_BYTES - 1) + b"\xc3(", f"byte {PIECE_BYTES - 1} .0xc3."),
        (b"", "empty"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(RefusedError, match=words) as refused:
        require_text(look(tmp_path / "a.txt"))
    assert "a.txt" in str(refused.value.where)


def test_a_long_text_comes_in_pieces_cut_behind_lines_and_whole(tmp_path):
    text = "".join(f"line {number} é한🙂\r\n" for number in range(40_000))
    (tmp_path / "a.txt").write_bytes(text.encode())
    pieces = list(look(tmp_path / "a.txt").pieces())
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces)
    assert len(pieces) > 4
    assert max(map(len, pieces)) < 2 * PIECE_BYTES


def test_a_text_of_one_line_is_cut_somewhere_and_whole(tmp_path):
    text = "한" * PIECE_BYTES
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert "".join(look(tmp_path / "a.txt").pieces()) == text


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(RefusedError, match="cannot be read"):
            look(path)
