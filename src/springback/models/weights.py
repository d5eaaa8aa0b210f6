"""The safetensors files of a folder: which they are, whether they are whole, what they hold. No torch here."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from springback.errors import RefusedError

INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib")
TRAINERS_NOTES: Final = ("training_args", "optimizer", "scheduler", "rng_state")
HEADER_LIMIT: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says of itself."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(prod(shape) for shape in self.shapes.values())


def weight_files(folder: Path, *, single: str = SINGLE, index: str | None = INDEX) -> tuple[Path, ...]:
    """The safetensors files of a folder in the order of their names.

    Raises:
        RefusedError: only pickled weights (loading them can run code), a missing shard, nothing at all.
    """
    if (folder / single).is_file():
        return (folder / single,)
    if index is not None and (folder / index).is_file():
        return _shards(folder, folder / index)
    if pickled := pickled_files(folder):
        raise RefusedError(
            f"{folder.name} holds only pickled weights ({pickled[0].name}); reading them can run code.",
            kind="pickle",
            where=str(pickled[0]),
            next="Take the safetensors version of this model, or convert it where you trust it: "
            "load it with transformers and call save_pretrained.",
        )
    raise _unusable(folder, f"holds no weights: {single} is missing")


def pickled_files(folder: Path) -> list[Path]:
    """Files in the folder that may be pickles, except the trainer's notes."""
    found = [file for pattern in PICKLED for file in sorted(folder.glob(pattern))]
    return [file for file in found if not file.name.startswith(TRAINERS_NOTES)]


def header(file: Path) -> Header:
    """Names, shapes and dtypes; the length of the file is checked against them.

    Raises:
        RefusedError: the file is cut off, longer than it says, or no safetensors at all.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            assert 2 <= length <= min(HEADER_LIMIT, size), "its header is cut off"
            said: dict[str, Any] = json.loads(stream.read(length))
        said.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in said.values()), default=0)
        assert size == 8 + length + end, f"it has {size:,} bytes and should have {8 + length + end:,}"
        return Header(
            {name: tuple(entry["shape"]) for name, entry in said.items()},
            {name: entry["dtype"] for name, entry in said.items()},
        )
    except (AssertionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(file, f"is no whole safetensors file: {error}") from error


def files_sha256(files: Iterable[Path]) -> str:
    """SHA-256 of the files' bytes one after the other; of one file it is what `sha256sum` prints."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a model's folder.

    Raises:
        RefusedError: the file is missing, torn or something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(file, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(file, f"is no whole JSON: {error}") from error
    if not isinstance(content, dict):
        raise _unusable(file, "is no JSON object")
    return content


def _shards(folder: Path, index: Path) -> tuple[Path, ...]:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise _unusable(index, "names no weights")
    files = tuple(folder / name for name in sorted(set(named.values())))
    for file in files:
        if file.parent != folder or not file.is_file():
            raise _unusable(file, f"is missing; {index.name} names it")
    return files


def _unusable(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{path.name or path} {why}.",
        kind="model",
        where=str(path),
        next="Fetch or save the model's folder again, whole.",
    )
