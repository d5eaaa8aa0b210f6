import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from springback.errors import RefusedError
from springback.store.archive import extract_member


def tarred(**files: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_one_member_of_a_wheel_is_written_and_no_other(tmp_path: Path) -> None:
    wheel = zipped(tmp_path / "a.whl", wanted=b"yes", other=b"no")
    extract_member(wheel, "wanted", tmp_path / "out", max_bytes=10)
    assert (tmp_path / "out").read_bytes() == b"yes"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.whl", "out"]


def test_a_file_in_a_tar_in_a_tar_is_found(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tarred(before=b"x" * 5000, inner=tarred(first=b"no", text=b"a\tb\r\n")))
    extract_member(archive, "inner", tmp_path / "out", max_bytes=10_000, nested=("text",))
    assert (tmp_path / "out").read_bytes() == b"a\tb\r\n"


def test_a_member_that_unpacks_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "a.whl", big=b"\0" * 5_000_000)
    assert bomb.stat().st_size < 10_000
    with pytest.raises(RefusedError, match="5000000 bytes"):
        extract_member(bomb, "big", tmp_path / "out", max_bytes=1_000_000)
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(tarred(big=b"\0" * 5_000_000))
    with pytest.raises(RefusedError, match="5000000 bytes"):
        extract_member(tar, "big", tmp_path / "out", max_bytes=1_000_000)


def test_a_bomb_in_front_of_the_wanted_file_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(tarred(bomb=b"\0" * 1_000_000, wanted=b"x"))
    with pytest.raises(RefusedError, match="too large to search"):
        extract_member(tar, "wanted", tmp_path / "out", max_bytes=1000)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "..\\out", ""])
def test_a_name_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="climbs out"):
        extract_member(zipped(tmp_path / "a.whl", a=b""), name, tmp_path / "out", max_bytes=10)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tar = tmp_path / "a.tar"
    with tarfile.open(tar, "w") as archive:
        info = tarfile.TarInfo("wanted")
        info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        archive.addfile(info)
    with pytest.raises(RefusedError, match="is a link"):
        extract_member(tar, "wanted", tmp_path / "out", max_bytes=100)
    assert not (tmp_path / "out").exists()


def test_a_missing_member_and_a_torn_archive_are_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="0 files named b"):
        extract_member(zipped(tmp_path / "a.whl", a=b""), "b", tmp_path / "out", max_bytes=10)
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(tarred(wanted=bytes(range(256)) * 4000)[:500])
    with pytest.raises(RefusedError, match=r"torn\.tar\.gz"):
        extract_member(torn, "wanted", tmp_path / "out", max_bytes=2_000_000)
