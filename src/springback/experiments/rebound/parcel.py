"""A finished sweep as bytes, from a machine that does not see the run's directory."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from springback.errors import RefusedError
from springback.experiments.rebound.config import Sweep
from springback.experiments.rebound.order import Work, place

LEFT = (".lock", "records.sqlite-wal", "records.sqlite-shm")
"""What is no part of a finished run: the writer has put its log into the table when it closed."""


def packed(sweep: Sweep, token: str, run: Callable[[Path], Work]) -> tuple[Work, Mapping[str, bytes]]:
    """Run a sweep below a directory of this machine, and pack it. What a lost worker left there is gone on with."""
    if sweep.audit.keep_checkpoints:
        raise RefusedError(
            "--keep-checkpoints needs a run directory that every machine sees; weights are not sent.",
            kind="option", where="--keep-checkpoints", next="Put --out on a shared disk, or leave the option out.",
        )  # fmt: skip
    scratch = Path(tempfile.gettempdir()) / f"springback-{token}"
    scratch.mkdir(mode=0o700, exist_ok=True)
    work = run(scratch)
    files = {file.name: file.read_bytes() for file in place(scratch, sweep).iterdir() if file.name not in LEFT}
    shutil.rmtree(place(scratch, sweep))
    return work, files


def unpack(files: Mapping[str, bytes], into: Path, aside: Path) -> None:
    """Put a sweep in its place, whole or not at all; what an earlier attempt left there is replaced."""
    partial = aside / f".{into.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, data in files.items():
        if Path(name).name != name:
            raise ValueError(f"a sweep's file cannot be called {name!r}")
        (partial / name).write_bytes(data)
    shutil.rmtree(into, ignore_errors=True)
    into.parent.mkdir(exist_ok=True)
    partial.rename(into)
