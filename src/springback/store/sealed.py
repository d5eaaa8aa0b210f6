"""A file of a JSON header and a payload under one checksum: read whole and unchanged, or not at all.

magic (8 bytes) | length of the header (4, big-endian) | header (JSON, UTF-8) | payload | sha256 of all before (32)
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from springback.errors import RefusedError
from springback.store.document import loads

LENGTH = 4
SEAL = 32


class Sealed(NamedTuple):
    """What a file held."""

    header: dict[str, Any]
    payload: bytes


def seal(path: Path, magic: bytes, header: Mapping[str, Any], payload: bytes) -> int:
    """Write it whole or not at all; returns its size in bytes."""
    said = json.dumps(header, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    body = magic + len(said).to_bytes(LENGTH, "big") + said + payload
    write_whole(path, body + hashlib.sha256(body).digest())
    return len(body) + SEAL


def unseal(path: Path, magic: bytes, *, kind: str) -> Sealed:
    """Header and payload; `kind` names what the file should be.

    Raises:
        RefusedError: not readable, another kind of file, or a byte that is not what was written.
    """
    raw = _bytes(path)
    if not raw.startswith(magic):
        raise _refused(path, f"{path.name} is not {kind}: it does not begin as one", "data")
    body, end = raw[:-SEAL], len(magic) + LENGTH
    if len(raw) < end + SEAL or hashlib.sha256(body).digest() != raw[-SEAL:]:
        raise _refused(path, f"{path.name} is damaged or cut off: its checksum is another; nothing was written")
    length = int.from_bytes(body[len(magic) : end], "big")
    try:
        header = loads(body[end : end + length])
        assert isinstance(header, dict)
    except (ValueError, AssertionError) as error:
        raise _refused(path, f"{path.name} has a header that cannot be read") from error
    return Sealed(header, body[end + length :])


def write_whole(path: Path, data: bytes) -> None:
    """Put the bytes there whole or not at all: a file beside it, fsync, rename.

    Raises:
        RefusedError: the system does not let us write there.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise RefusedError(f"{path} cannot be written: {error.strerror}.", kind="disk", where=str(path),
                           next="Name another place, or make room.") from error  # fmt: skip
    finally:
        with suppress(OSError):
            partial.unlink()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(path, f"{path} cannot be read: {error.strerror}", "data") from error


def _refused(path: Path, message: str, kind: str = "checksum") -> RefusedError:
    return RefusedError(f"{message}.", kind=kind, where=str(path), next="Take another copy of the file.")
