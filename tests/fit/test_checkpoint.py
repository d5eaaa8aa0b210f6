import errno
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from springback.errors import RefusedError
from springback.fit import checkpoint
from springback.fit.checkpoint import MANIFEST, Checkpoint, Torn, load, remove, save

FACTS = {"cell": "0/main/32/8", "step": 4, "rate": 0.1, "sizes": [8, 32], "by seed": {"0": None}}


@pytest.fixture
def tensors(monkeypatch) -> dict[str, torch.Tensor]:
    monkeypatch.setattr(checkpoint, "PART", 3000)  # several parts
    generator = torch.Generator().manual_seed(0)
    many = {f"master/w{index}": torch.randn(30, 10, generator=generator) for index in range(6)}
    return many | {"half": torch.randn(3, 3).bfloat16(), "steps/w0": torch.tensor(4.0), "turned": torch.randn(4, 5).T}


@pytest.fixture
def path(tmp_path, tensors) -> Path:
    save(tmp_path / "cell", tensors, FACTS)
    return tmp_path / "cell"


def test_what_was_saved_comes_back_bit_for_bit(path, tensors):
    found = load(path)
    assert isinstance(found, Checkpoint)
    assert found.facts == FACTS
    assert set(found.tensors) == set(tensors)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert all(found.tensors[name].dtype == tensor.dtype for name, tensor in tensors.items())
    assert len(list(path.glob("part-*"))) > 2


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir())


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "missing"])
def test_harm_to_any_file_is_seen_and_named(path, harm, number):
    victim = files(path)[number]
    data = bytearray(victim.read_bytes())
    if harm == "cut":
        victim.write_bytes(data[:-1])
    elif harm == "flip":
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif harm == "empty":
        victim.write_bytes(b"")
    else:
        victim.unlink()
    found = load(path)
    assert isinstance(found, Torn)
    assert victim.name in found.why


@pytest.mark.parametrize("byte", range(0, 900, 60))
def test_no_changed_byte_of_the_manifest_is_believed(path, byte):
    data = bytearray((path / MANIFEST).read_bytes())
    data[byte % len(data)] ^= 1
    (path / MANIFEST).write_bytes(data)
    assert isinstance(load(path), Torn)


def test_nothing_there_is_no_error_either(tmp_path):
    assert load(tmp_path / "never") == Torn("never is not there")


def test_a_model_folder_is_not_taken_for_a_checkpoint(tmp_path, llama):
    llama().save_pretrained(tmp_path)
    assert isinstance(load(tmp_path), Torn)


def test_no_model_loader_takes_a_checkpoint_for_a_model(tmp_path, llama):
    network = llama(tied=False)
    save(tmp_path / "tuned", network.state_dict(), {})
    with pytest.raises((OSError, ValueError)):
        AutoModelForCausalLM.from_pretrained(tmp_path / "tuned", local_files_only=True)
    network.config.save_pretrained(tmp_path / "tuned")  # and not even where someone adds the configuration
    with pytest.raises((OSError, ValueError)):
        AutoModelForCausalLM.from_pretrained(tmp_path / "tuned", local_files_only=True)


class FullDisk:
    """Writes that fail after a number of bytes, as on a full disk."""

    def __init__(self, monkeypatch, room: int) -> None:
        self.room, self.write = room, os.fsync
        monkeypatch.setattr(checkpoint.os, "fsync", self)

    def __call__(self, handle: int) -> None:
        self.room -= os.fstat(handle).st_size
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.write(handle)


@pytest.mark.parametrize("room", [0, 6000, 9000])
def test_a_full_disk_is_said_cleanly_and_leaves_nothing(tmp_path, tensors, monkeypatch, room):
    FullDisk(monkeypatch, room)
    with pytest.raises(RefusedError, match=r"No space left.*MiB are free") as caught:
        save(tmp_path / "cell", tensors, FACTS)
    assert caught.value.kind == "disk"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_checkpoint_that_was_there(path, tensors, monkeypatch):
    FullDisk(monkeypatch, 6000)
    with pytest.raises(RefusedError):
        save(path, {name: tensor + 1 for name, tensor in tensors.items()}, {})
    found = load(path)
    assert isinstance(found, Checkpoint)
    assert torch.equal(found.tensors["half"], tensors["half"])
    assert [left.name for left in path.parent.iterdir()] == ["cell"]


def test_a_rename_that_fails_puts_the_old_checkpoint_back(path, monkeypatch):
    rename = Path.rename

    def refused(self, target):
        if self.name.endswith(".partial"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(RefusedError, match="Permission denied"):
        save(path, {}, {"step": 8})
    found = load(path)
    assert isinstance(found, Checkpoint)
    assert found.facts == FACTS


def test_a_later_save_replaces_an_earlier_one_and_what_a_crash_left(path, tensors):
    leftover = path.with_name(".cell.partial")
    leftover.mkdir()
    (leftover / "part-000.tensors").write_bytes(b"half")
    save(path, {"half": tensors["half"] + 1}, {"step": 8})
    found = load(path)
    assert isinstance(found, Checkpoint)
    assert found.facts == {"step": 8}
    assert set(found.tensors) == {"half"}
    assert [left.name for left in path.parent.iterdir()] == ["cell"]


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_crash_at_any_moment_leaves_a_whole_checkpoint_or_a_torn_one(path, tensors, monkeypatch, moment):
    class PowerCut(BaseException):
        pass

    calls = 0

    def cut(call):
        def counted(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == moment:
                raise PowerCut
            return call(*args, **kwargs)

        return counted

    monkeypatch.setattr(checkpoint, "remove", lambda path: None)  # a dead process tidies nothing
    monkeypatch.setattr(checkpoint.os, "fsync", cut(os.fsync))
    monkeypatch.setattr(Path, "rename", cut(Path.rename))
    with suppress(PowerCut):
        save(path, {"half": tensors["half"] + 1}, {"step": 8})
    found = load(path)
    assert isinstance(found, Torn) or found.facts in (FACTS, {"step": 8})
    monkeypatch.undo()
    save(path, {"half": tensors["half"]}, {"step": 9})
    assert [left.name for left in path.parent.iterdir()] == ["cell"]


def test_facts_that_are_not_json_are_refused_before_anything_is_written(tmp_path, tensors):
    with pytest.raises(ValueError, match="JSON"):
        save(tmp_path / "cell", tensors, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_removed_checkpoint_is_gone_and_removing_twice_is_no_error(path):
    remove(path)
    remove(path)
    assert isinstance(load(path), Torn)


def test_the_manifest_states_every_file(path):
    manifest = json.loads((path / MANIFEST).read_text())
    assert {part["file"] for part in manifest["parts"]} | {MANIFEST} == {file.name for file in files(path)}
