"""The runs under a directory: what each is, how far it came, how large it is; and removing one."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from springback.errors import RefusedError
from springback.store import description, lock
from springback.store.run import Run, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Points of a grid."""

    planned: int | None
    """None where the run has no plan (yet)."""
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run, in the words of the contract."""

    run: str
    command: str
    state: State
    cells: Cells
    verdict: str | None
    """The label, once there is one."""
    bytes: int
    """Of all files of the run together."""
    at: str
    """When it ended, else when it began; ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class Listing:
    runs: tuple[Entry, ...]
    unreadable: tuple[str, ...]
    """Directories that hold a run.json which cannot be read, each with the reason."""


def runs_under(directory: Path) -> Listing:
    """The runs in a directory, oldest first; the directory may be one itself. RefusedError where it is none."""
    if not directory.is_dir():
        todo = "Give a directory that holds runs."
        raise RefusedError("no such directory", kind="run", where=str(directory), next=todo)
    entries, unreadable = [], []
    for path in _directories(directory):
        try:
            entries.append(entry(path))
        except RefusedError as error:
            unreadable.append(f"{path}: {error.message}")
    return Listing(tuple(sorted(entries, key=lambda found: (found.at, found.run))), tuple(unreadable))


def entry(path: Path) -> Entry:
    """What one run is. RefusedError where it cannot be read."""
    with Run.look(path) as run:
        meta, verdict = run.meta, run.get("verdict", "verdict") or {}
        return Entry(
            run=str(path),
            command=meta["command"],
            state=run.state,
            cells=Cells(planned=_planned(meta), done=run.kinds().get("cell", 0)),
            verdict=verdict.get("label"),
            bytes=_size(path),
            at=meta.get("finished") or meta["started"],
        )


def remove(path: Path) -> Entry:
    """Delete a run with all its files, and say what it was.

    RefusedError where the directory is no run, is a link to one, cannot be deleted, or is being written.
    """
    if path.is_symlink():
        raise RefusedError(
            "a link, not a run", kind="run", where=str(path), next=f"Name the directory {path.resolve()}."
        )
    found = entry(path)
    try:
        held = lock.take(path)
        try:
            shutil.rmtree(path)
        finally:
            held.release()
    except OSError as error:
        todo = "Give yourself the right to delete it."
        raise RefusedError(f"cannot delete it: {error}", kind="disk", where=str(path), next=todo) from error
    return found


def _directories(directory: Path) -> Iterator[Path]:
    here = [directory, *sorted(path for path in directory.iterdir() if path.is_dir())]
    yield from (path for path in here if (path / description.NAME).exists())


def _planned(meta: dict[str, Any]) -> int | None:
    plan = meta.get("plan")
    cells = plan.get("cells") if isinstance(plan, dict) else None
    return len(cells) if isinstance(cells, list) else None


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
