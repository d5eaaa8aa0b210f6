"""Where a result comes from: hashes of what was read, versions of what computed it, the machine's kind."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from springback import __version__

DEPENDENCIES: Final = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn", "peft", "gguf")
"""Packages whose version can change a figure."""
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_of_text(text: str) -> str:
    """Of the text's UTF-8 bytes; lone surrogates are kept as they are, so that no two texts share a hash by loss."""
    return sha256_of_bytes(text.encode("utf-8", "surrogatepass"))


def about(**more: Any) -> dict[str, Any]:
    """What a run should know about the process that writes it, and `more` (the device, the number of threads)."""
    return {"versions": versions(), "commit": commit(), "machine": machine(), "threads": threads(), **more}


def versions() -> dict[str, str | None]:
    """Version by package, read from their metadata without importing any; `None` where one is not installed."""
    ours = {"python": platform.python_version(), "springback": __version__}
    return {**ours, **{name: _version(name) for name in DEPENDENCIES}}


def machine() -> dict[str, Any]:
    """Operating system, processor kind and the cores this process may use."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": _cores()}


def threads() -> dict[str, str | None]:
    """What the environment says about threads; sums in another order differ in the last bits."""
    return {name: os.environ.get(name) for name in THREADS}


def commit(source: Path = Path(__file__)) -> str | None:
    """Commit of the git tree that holds this source, `-dirty` after it where files differ; None where none tracks it.

    A package installed inside another project's tree is not that project's commit: the file itself must be tracked.
    """
    tracked = _git(source, "ls-files", "--error-unmatch", source.name)
    return _git(source, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") if tracked else None


def _git(source: Path, *words: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *words], cwd=source.parent, env=environment, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cores() -> int | None:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count()
