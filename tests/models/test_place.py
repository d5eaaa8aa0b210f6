import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from springback.errors import RefusedError
from springback.models.aliases import ALIASES, folder_of
from springback.models.place import place


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def refused(spec: str, **how: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        place(spec, **how)
    return caught.value


def hub_says(monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int = 404) -> None:
    def download(*_: object, local_files_only: bool = False, **__: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        said = error.__new__(error)
        said.response = type("Response", (), {"status_code": status})()  # type: ignore[attr-defined]
        raise said

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)


@pytest.mark.parametrize("name", list(ALIASES))
def test_an_alias_that_is_not_here_names_the_command_that_fetches_it(name: str) -> None:
    assert refused(name).next.startswith(f"springback models pull {name}")


def test_an_alias_in_the_cache_is_found_there_with_its_origin() -> None:
    alias = ALIASES["smollm2-135m-instruct"]
    folder_of(alias).mkdir(parents=True)
    about = {"gguf_sha256": alias.sha256, "weights_sha256": "abc"}
    (folder_of(alias) / "springback.json").write_text(json.dumps(about))
    found = place(alias.name)
    assert (found.path, found.weights_sha256) == (folder_of(alias), "abc")
    assert found.origin == "SmolLM2-135M-Instruct, dequantised from q4_1"


def test_a_half_made_folder_in_the_cache_does_not_count() -> None:
    folder_of(ALIASES["smollm2-135m-instruct"]).mkdir(parents=True)
    (folder_of(ALIASES["smollm2-135m-instruct"]) / "config.json").write_text("{}")
    assert refused("smollm2-135m-instruct").kind == "model"


def test_a_misspelt_alias_is_guessed() -> None:
    assert "smollm2-135m-instruct" in refused("smollm2").next


@pytest.mark.parametrize("spec", ["", "./none", "/no/such/folder", "~/no-such-folder", "a b"])
def test_what_is_nowhere_is_refused(spec: str) -> None:
    assert refused(spec).kind == "model"


def test_an_empty_folder_and_a_file_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(str(tmp_path / "empty")).where == str(tmp_path / "empty" / "config.json")
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(str(tmp_path / "file")).message


def test_offline_the_hub_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def download(*_: object, local_files_only: bool = False, **__: object) -> str:
        assert local_files_only, "the hub was asked"
        raise LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    error = refused("org/name")
    assert error.kind == "network"
    assert "HF_HUB_OFFLINE" in error.message


def test_a_gated_model_names_the_licence_page_and_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_says(monkeypatch, GatedRepoError, 403)
    error = refused("org/gated")
    assert error.kind == "licence"
    assert "https://huggingface.co/org/gated" in error.next
    assert "hf auth login" in error.next


def test_an_unknown_or_private_model_is_told_from_a_gated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_says(monkeypatch, RepositoryNotFoundError, 401)
    error = refused("org/none")
    assert "knows no org/none" in error.message
    assert "hf auth login" in error.next


def test_an_unknown_revision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_says(monkeypatch, RevisionNotFoundError, 0)
    assert "no revision v9" in refused("org/name@v9").message
    assert "no revision v8" in refused("org/name", revision="v8").message
    assert "v9 and v8" in refused("org/name@v9", revision="v8").message


def test_an_unreachable_hub_is_not_an_unknown_model(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_says(monkeypatch, ConnectionError, 0)
    assert refused("org/name").kind == "network"


def test_a_revision_of_a_folder_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    assert refused(str(tmp_path), revision="v1").kind == "option"


def test_no_pickle_and_no_code_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def download(*_: object, allow_patterns: list[str], local_files_only: bool = False, **__: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    place("org/name")
    place("org/name", code=True)
    assert not any(pattern.endswith((".bin", ".pt", ".py", "*")) for pattern in asked[0])
    assert "*.py" in asked[1]


def test_finding_a_model_needs_no_torch() -> None:
    code = "import sys; import springback.models.facts, springback.models.pull; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
