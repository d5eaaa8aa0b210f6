"""`run.json`: what was asked and what it used, and whether a run on disk is the one that is asked for now."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import BaseFileLock

from springback import __version__
from springback.errors import RefusedError
from springback.store import document, lock

NAME: Final = "run.json"
SCHEMA: Final = 1
"""Of run.json and the records; raised when a field changes its meaning."""
FIELDS: Final = {
    "springback": str,
    "schema": int,
    "command": str,
    "asked": dict,
    "identity": dict,
    "about": dict,
    "state": str,
    "started": str,
}
"""What every run.json has."""
TEMPORARY: Final = frozenset({lock.NAME, f"{NAME}.partial"})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def new(
    command: str, *, asked: Mapping[str, Any], identity: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """A run.json that nothing has happened to, as it would be read back."""
    head = {"springback": __version__, "schema": SCHEMA, "command": command}
    body = {"asked": dict(asked), "identity": dict(identity), "about": dict(about)}
    tail = {"state": "partial", "started": now(), "finished": None}
    return document.loads(document.dumps(head | body | tail, what=NAME))


def read(path: Path) -> dict[str, Any]:
    """The run.json of a run. RefusedError where there is none, where it is torn, or of another schema."""
    file = path / NAME
    try:
        meta = document.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        todo = "Give the directory of a run; `springback runs list` shows them."
        raise RefusedError("no run there", kind="run", where=str(path), next=todo) from None
    except OSError as error:
        todo = "Give a directory that can be read."
        raise RefusedError(f"cannot read it: {error.strerror}", kind="disk", where=str(file), next=todo) from error
    except ValueError as error:
        raise _torn(file, str(error)) from error
    return _known(meta, file)


@contextmanager
def taken(path: Path) -> Iterator[BaseFileLock]:
    """The directory of a run, made if need be, and its lock: released, and what was made taken back, on an exception.

    RefusedError where another process writes the run, where the directory holds something else or cannot be written.
    """
    existed = path.exists()
    if existed and not (path / NAME).exists() and (strange := _strangers(path)):
        todo = "Give a new directory (--out)."
        raise RefusedError(f"holds no run but {strange}", kind="run", where=str(path), next=todo)
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = lock.take(path)
        fresh = not (path / NAME).exists()
        try:
            yield held
        except BaseException:
            _take_back(path, fresh=fresh)
            held.release()
            raise
    except BaseException as error:
        if not existed:
            with suppress(OSError):  # what another process put there stays
                path.rmdir()
        if isinstance(error, OSError):
            todo = "Make room, or give a directory that can be written (--out)."
            raise RefusedError(f"cannot write the run: {error}", kind="disk", where=str(path), next=todo) from error
        raise


def settle(path: Path, wanted: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The run.json to go on with, written, and what to warn about. The lock is held."""
    if not (path / NAME).exists():
        document.write(path / NAME, wanted)
        return wanted, ()
    there = read(path)
    _same_question(path, there, wanted)
    if (going_on := _going_on(there, wanted["about"])) != there:
        document.write(path / NAME, going_on)
    changed = document.differences(there["about"], wanted["about"])
    return going_on, tuple(f"this run began with {_named(name, *pair)}" for name, pair in changed.items())


def _going_on(there: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """The description of a run that is taken up again: what differs from the last time is kept, a failure forgotten."""
    resumed = there.get("resumed", [])
    last = resumed[-1]["about"] if resumed else there["about"]
    state = {"state": "partial", "finished": None} if there["state"] == "failed" else {}
    return there | state | ({"resumed": [*resumed, {"at": now(), "about": about}]} if last != about else {})


def _same_question(path: Path, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    version = [name for name in ("springback", "schema") if there[name] != wanted[name]]
    if version:
        words = ", ".join(_named(name, there[name], wanted[name]) for name in version)
        todo = f"Finish it with springback {there['springback']}, or give a new --out."
        raise RefusedError(f"the run was begun by another version: {words}", kind="run", where=str(path), next=todo)
    fields = ("command", "asked", "identity")
    changed = document.differences(*({name: meta[name] for name in fields} for meta in (there, wanted)))
    if changed:
        words = ", ".join(_named(name.removeprefix("asked."), *pair) for name, pair in changed.items())
        todo = "Give a new --out, or the old values."
        raise RefusedError(f"the run there differs in {words}", kind="run", where=str(path), next=todo)


def _named(name: str, there: object, here: object) -> str:
    return f"{name} ({_short(there)} there, {_short(here)} now)"


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def _known(meta: object, file: Path) -> dict[str, Any]:
    if not isinstance(meta, dict):
        raise _torn(file, "it is no JSON object")
    wrong = [name for name, kind in FIELDS.items() if not isinstance(meta.get(name), kind)]
    if wrong:
        raise _torn(file, f"{', '.join(wrong)} missing or of another type")
    if meta["schema"] != SCHEMA:
        message = (
            f"a run of schema {meta['schema']}, written by springback {meta['springback']}; this one reads {SCHEMA}"
        )
        raise RefusedError(message, kind="run", where=str(file), next=f"Use springback {meta['springback']}.")
    return meta


def _torn(file: Path, why: str) -> RefusedError:
    todo = "Move the directory away, or give a new --out."
    return RefusedError(f"the description of this run cannot be read: {why}", kind="run", where=str(file), next=todo)


def _strangers(path: Path) -> str:
    """What lies in a directory that is no run's, in words; empty if nothing does."""
    if not path.is_dir():
        return "a file"
    try:
        names = sorted(entry.name for entry in path.iterdir() if entry.name not in TEMPORARY)
    except OSError as error:
        return str(error)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _take_back(path: Path, *, fresh: bool) -> None:
    """Remove what a run that could not begin left; a run that was there before is not touched."""
    begun = (NAME, "records.sqlite", "records.sqlite-wal", "records.sqlite-shm") if fresh else ()
    with suppress(OSError):
        for name in (*begun, *TEMPORARY):
            (path / name).unlink(missing_ok=True)
