"""One member out of a wheel, a zip or a tar: no other file is written, nothing is written without end."""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, runtime_checkable

from springback.errors import RefusedError

BLOCK: Final = 1 << 20
MEMBERS_LIMIT: Final = 20_000
"""Entries read in a tar before giving up: a stream has no index."""


@runtime_checkable
class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


def extract_member(archive: Path, member: str, into: Path, *, max_bytes: int, nested: tuple[str, ...] = ()) -> None:
    """Write exactly one member of `archive` to `into`; each name of `nested` is a tar inside the one before.

    Only the file asked for is opened, so a path inside the archive never becomes a path on disk. Refused: a name
    that climbs out, a link, more than `max_bytes` bytes, an archive that does not hold the member or is torn.
    """
    for name in (member, *nested):
        _require_plain_name(name, archive)
    try:
        with _opened(archive, member, max_bytes) as source:
            _descend(source, nested, into, archive=archive, max_bytes=max_bytes)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's answer, not the archive's
        raise _broken(archive, f"cannot be read: {error}") from error


def _descend(source: Readable, nested: tuple[str, ...], into: Path, *, archive: Path, max_bytes: int) -> None:
    if not nested:
        return _copy(source, into, archive=archive, max_bytes=max_bytes)
    with tarfile.open(fileobj=source, mode="r|*") as inner:  # pyright: ignore[reportCallIssue, reportArgumentType]
        return _descend(
            _tar_member(inner, nested[0], archive, max_bytes), nested[1:], into, archive=archive, max_bytes=max_bytes
        )


@contextmanager
def _opened(archive: Path, member: str, max_bytes: int) -> Iterator[Readable]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped, zipped.open(_zip_member(zipped, member, archive, max_bytes)) as source:
            yield source
    else:
        with tarfile.open(archive, mode="r|*") as tarred:
            yield _tar_member(tarred, member, archive, max_bytes)


def _zip_member(zipped: zipfile.ZipFile, member: str, archive: Path, max_bytes: int) -> zipfile.ZipInfo:
    found = [info for info in zipped.infolist() if info.filename == member]
    if len(found) != 1:
        raise _broken(archive, f"holds {len(found)} files named {member}; exactly one is needed")
    if found[0].file_size > max_bytes:
        raise _broken(archive, f"{member} says {found[0].file_size} bytes, at most {max_bytes} are taken")
    return found[0]


def _tar_member(tarred: tarfile.TarFile, member: str, archive: Path, max_bytes: int) -> Readable:
    skipped = 0
    for count, info in enumerate(tarred):
        if info.name == member:
            return _regular(tarred, info, archive, max_bytes)
        skipped += info.size
        if count >= MEMBERS_LIMIT or skipped > 64 * max_bytes:
            raise _broken(archive, f"is too large to search for {member}")
    raise _broken(archive, f"does not hold {member}")


def _regular(tarred: tarfile.TarFile, info: tarfile.TarInfo, archive: Path, max_bytes: int) -> Readable:
    stream = tarred.extractfile(info) if info.isreg() else None
    if stream is None:
        raise _broken(archive, f"{info.name} is a link or a folder, not a file")
    if info.size > max_bytes:
        raise _broken(archive, f"{info.name} says {info.size} bytes, at most {max_bytes} are taken")
    return stream


def _copy(source: Readable, into: Path, *, archive: Path, max_bytes: int) -> None:
    written = 0
    with into.open("wb") as target:
        while block := source.read(BLOCK):
            written += len(block)
            if written > max_bytes:
                raise _broken(archive, f"unpacks to more than {max_bytes} bytes")
            target.write(block)


def _require_plain_name(name: str, archive: Path) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise _broken(archive, f"the member name {name!r} climbs out of the archive")


def _broken(archive: Path, why: str) -> RefusedError:
    return RefusedError(
        f"The archive {archive.name} {why}.",
        kind="archive",
        where=str(archive),
        next="Download it again; the file that was expected is named in the message.",
    )
