import json
from pathlib import Path

import pytest

from springback.cli.main import app


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGBACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_list_gives_the_keys_of_the_contract(capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["models", "list", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["result"]["models"]
    assert {row["alias"]: row["licence"] for row in found} == {
        "smollm2-135m-instruct": "Apache-2.0",
        "gemma3-270m": "Gemma Terms of Use",
    }
    assert all({"alias", "path", "licence", "sha256", "bytes", "origin"} <= row.keys() for row in found)
    assert all(row["path"] is None for row in found)


def test_a_licence_that_was_not_accepted_is_a_refusal(capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["models", "pull", "gemma3-270m", "--json"]) == 2
    assert "--accept-license gemma" in json.loads(capfd.readouterr().out)["error"]["next"]


def test_a_file_that_is_not_the_model_is_a_refusal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert app(["models", "pull", "smollm2-135m-instruct", "--from", str(tmp_path / "x.gguf"), "--json"]) == 2
    out = capfd.readouterr()
    assert json.loads(out.out)["error"]["kind"] == "checksum"
    assert "MB on disk" in out.err


def test_doctor_gives_the_environment_and_checks(capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["doctor", "tiny", "--json"]) == 0
    result = json.loads(capfd.readouterr().out)["result"]
    assert result["environment"]["hub"] == "offline"
    assert all(set(check) == {"name", "outcome", "why"} for check in result["checks"])
    assert "stop_token" in {check["name"] for check in result["checks"]}


def test_doctor_refuses_an_unknown_model(capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["doctor", "smollm", "--json"]) == 2
    assert "smollm2-135m-instruct" in json.loads(capfd.readouterr().out)["error"]["next"]
