"""Checkpoints in our own layout: a folder that is whole or not there, and that no model loader takes for a model.

    NAME/
      part-000.tensors …   safetensors, at most 64 MiB each (a larger tensor stands alone)
      manifest.json        written last: facts, and every part's bytes, sha256 and tensor names

Everything is written into a hidden sibling, flushed to disk, and renamed. What is torn is said to be torn, with the
reason, so that the caller can take an older checkpoint or compute again; it is never half used.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import safe_open
from torch import Tensor

from springback.errors import RefusedError

FORMAT = "springback checkpoint 1"
MANIFEST = "manifest.json"
PART = 64 * 2**20
"""Bytes of tensors in one part: bounds the memory that saving takes."""


@dataclass(frozen=True, slots=True)
class Torn:
    """There is no usable checkpoint here."""

    why: str


@dataclass(frozen=True, slots=True)
class Tensors(Mapping[str, Tensor]):
    """The tensors of a checkpoint, each read when it is asked for, so that two whole states are never in memory."""

    where: dict[str, Path]

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.where[name], framework="pt") as part:
            return part.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint."""

    tensors: Tensors
    facts: dict[str, Any]


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint, durable on return, in the place of what was at `path`. `facts` must be JSON.

    `RefusedError` where the disk is full or cannot be written; then nothing of the new one is left, and the old stays.
    """
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    try:
        remove(partial)
        remove(old)
        partial.mkdir(parents=True)
        _write(partial, tensors, facts)
        _replace(partial, path, old)
    except OSError as error:
        raise _not_saved(path, tensors, error) from error
    finally:
        remove(partial)
        remove(old)


def load(path: Path, *, verified: bool = False) -> Checkpoint | Torn:
    """Read and verify every byte; `Torn` with the reason where a file is missing, short, changed or not ours.

    `verified`: this process has written or verified it before, so only the files' sizes are looked at.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return Torn(f"{path.name} has no {MANIFEST}" if path.is_dir() else f"{path.name} is not there")
    except (OSError, ValueError) as error:
        return Torn(f"{path.name}/{MANIFEST} cannot be read: {error}")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return Torn(f"{path.name}/{MANIFEST} is not in the format {FORMAT!r}")
    if manifest.get("sha256") != _digest(manifest):
        return Torn(f"{path.name}/{MANIFEST} has changed since it was written")
    for part in manifest["parts"]:
        if why := _fault(path / part["file"], part, sizes_only=verified):
            return Torn(why)
    where = {name: path / part["file"] for part in manifest["parts"] for name in part["tensors"]}
    return Checkpoint(Tensors(where), manifest["facts"])


def remove(path: Path) -> None:
    """Delete a checkpoint or what is left of one; nothing happens where there is none."""
    shutil.rmtree(path, ignore_errors=True)


def _write(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    parts = [_part(folder / f"part-{number:03}.tensors", group) for number, group in enumerate(_groups(tensors))]
    as_read = json.loads(json.dumps(dict(facts), allow_nan=False))
    manifest: dict[str, Any] = {"format": FORMAT, "facts": as_read, "parts": parts}
    manifest["sha256"] = _digest(manifest)
    _durable(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False).encode())
    _flush_folder(folder)


def _part(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    data = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    _durable(path, data)
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "tensors": list(tensors)}


def _groups(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    group: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        if group and size + tensor.nbytes > PART:
            yield group
            group, size = {}, 0
        group[name] = tensor
        size += tensor.nbytes
    if group:
        yield group


def _durable(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(new: Path, path: Path, old: Path) -> None:
    """Put `new` in the place of `path`; where that fails, what was there is put back."""
    aside = path.exists()
    if aside:
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if aside:
            old.rename(path)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open a folder; its renames are in the journal
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fault(path: Path, part: Mapping[str, Any], *, sizes_only: bool) -> str | None:
    try:
        if path.stat().st_size != part["bytes"]:
            return f"{path.name} has {path.stat().st_size} bytes, {part['bytes']} were written"
        if sizes_only:
            return None
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    return None if found == part["sha256"] else f"{path.name} has changed since it was written"


def _digest(manifest: Mapping[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _free(folder: Path) -> int:
    """Bytes free where the folder is, or will be."""
    return shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists())).free


def _not_saved(path: Path, tensors: Mapping[str, Tensor], error: OSError) -> RefusedError:
    size, free = sum(tensor.nbytes for tensor in tensors.values()), _free(path.parent)
    return RefusedError(
        f"The checkpoint {path.name} could not be written ({error.strerror or error}): it needs "
        f"{size / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free. Nothing of it was left behind.",
        kind="disk", where=str(path.parent),
        next="Free some space (`springback runs rm RUN` deletes old runs) and run the same command again: it goes on.",
    )  # fmt: skip
