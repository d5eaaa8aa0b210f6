"""The table of records: append, never change."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from springback.errors import RefusedError
from springback.store import document

TABLE: Final = """
CREATE TABLE IF NOT EXISTS records(
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE(kind, key))"""
PROBE: Final = "SELECT seq, kind, key, at, body FROM records ORDER BY seq DESC LIMIT 1"
PATIENCE: Final = 30.0
"""Seconds to wait for another process to let go of the file."""


class Records:
    """An open table. Every call sees what is stored at that moment, by whichever process."""

    def __init__(self, database: sqlite3.Connection, file: Path, *, writes: bool = False) -> None:
        self._database, self._file, self._writes = database, file, writes

    @classmethod
    def writing(cls, file: Path) -> "Records":
        """Open or create it. RefusedError where it cannot be written or is none of ours."""
        try:
            database = _connect(str(file))
        except sqlite3.Error as error:
            raise _unusable(file, error) from error
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(TABLE)
            database.execute(PROBE).fetchall()
        except sqlite3.Error as error:
            database.close()
            raise _unusable(file, error) from error
        return cls(database, file, writes=True)

    @classmethod
    def reading(cls, file: Path) -> "Records":
        """Open it without writing anything beside it. A run that has not begun its table has no records."""
        if not file.exists():
            return cls(_empty(), file)
        try:
            return cls(_checked(_connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)), file)
        except sqlite3.OperationalError:  # a write-ahead log needs a place for its index: read a copy of both
            return cls(_copied(file), file)
        except sqlite3.Error as error:
            raise _unusable(file, error) from error

    def append(self, kind: str, key: str, body: str) -> None:
        row = (kind, key, datetime.now(UTC).isoformat(timespec="milliseconds"), body)
        try:
            self._command("INSERT INTO records(kind, key, at, body) VALUES (?, ?, ?, ?)", *row)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"{self._file}: record {kind} {key} is stored already") from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction: what is appended within is stored at its end, or not at all."""
        self._command("BEGIN IMMEDIATE")
        try:
            yield
            self._command("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._command("ROLLBACK")
            raise

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        rows = self._select("SELECT key, body FROM records WHERE kind = ? AND key = ?", kind, key)
        return self._body(kind, *rows[0]) if rows else None

    def read(self, kind: str) -> dict[str, dict[str, Any]]:
        rows = self._select("SELECT key, body FROM records WHERE kind = ? ORDER BY seq", kind)
        return {key: self._body(kind, key, body) for key, body in rows}

    def keys(self, kind: str) -> list[str]:
        return [key for (key,) in self._select("SELECT key FROM records WHERE kind = ? ORDER BY seq", kind)]

    def kinds(self) -> dict[str, int]:
        return dict(self._select("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY min(seq)"))

    def close(self) -> None:
        """Close it; a writer first puts its log into the file, so that the file alone is the run."""
        if self._writes:
            with suppress(sqlite3.Error):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def _command(self, statement: str, *values: str) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise OSError(f"{self._file}: cannot store: {error}; what was stored before stays") from error

    def _select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _unusable(self._file, error) from error

    def _body(self, kind: str, key: str, body: str) -> dict[str, Any]:
        try:
            return document.loads(body)
        except ValueError as error:
            raise _unusable(self._file, f"record {kind} {key}: {error}") from error


def _connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, uri=uri, isolation_level=None, timeout=PATIENCE)


def _checked(database: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, if it reads records; an empty table where a writer was stopped before it made one."""
    try:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchall():
            database.close()
            return _empty()
        database.execute(PROBE).fetchall()
    except sqlite3.Error:
        database.close()
        raise
    return database


def _empty() -> sqlite3.Connection:
    database = _connect(":memory:")
    database.execute(TABLE)
    return database


def _copied(file: Path) -> sqlite3.Connection:
    """The file and its log, in memory. RefusedError where that is no table of records either."""
    try:
        with TemporaryDirectory(prefix="springback-") as folder:
            for suffix in ("", "-wal"):
                source = file.with_name(file.name + suffix)
                if source.exists():
                    shutil.copyfile(source, Path(folder, source.name))
            memory = _connect(":memory:")
            with closing(_checked(_connect(str(Path(folder, file.name))))) as there:
                there.backup(memory)
            return memory
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, error) from error


def _unusable(file: Path, why: object) -> RefusedError:
    """What stands between us and the table: a full or read-only disk, or a file that is none of ours."""
    text = str(why)
    disk = any(word in text for word in ("full", "readonly", "read-only", "unable to open", "disk I/O", "Permission"))
    todo = "Make room or give a directory that can be written (--out)." if disk else "Move the run away, or restore it."
    return RefusedError(f"cannot use the records: {text}", kind="disk" if disk else "run", where=str(file), next=todo)
