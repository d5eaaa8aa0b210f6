"""A data file as bytes: opened once, plain or gzip, hashed as it lies on the disk. Shared by the readers."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Final, NoReturn

from springback.errors import RefusedError

ROW_LIMIT: Final = 4 << 20
"""Bytes of one row. A longer one is refused, never cut: no context holds it."""
ROWS_LIMIT: Final = 1_000_000
"""Rows of one file. A longer file is refused: an audit takes hundreds."""
FORMATS: Final = (
    '{"messages": […]}, {"prompt": …, "completion": …} or {"prompt": …, "chosen": …, "rejected": …}, one JSON object '
    'a line, or an Alpaca JSON array of {"instruction", "input", "output"}'
)


def refuse(message: str, *, where: str, next_step: str) -> NoReturn:
    """Raise the one error of all readers: a row that is not what it must be."""
    raise RefusedError(message, kind="data", where=where, next=next_step)


def sha256(path: Path) -> str:
    """SHA-256 of the file's bytes as stored (of a gzip file: compressed), in hexadecimal."""
    with _file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """The file's bytes, unpacked where its name ends in `.gz`. RefusedError: absent, a folder, not readable."""
    with _file(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield unpacked
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            refuse(f"{path.name} is a torn gzip file: {error}.", where=str(path), next_step="Copy the file again.")


def text(raw: bytes, path: Path, line: int) -> str:
    """Strict UTF-8 of bytes that begin at `line`. RefusedError names the first byte that is not."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        column = error.start - raw.rfind(b"\n", 0, error.start)
        refuse(
            f"This is not UTF-8: byte 0x{raw[error.start]:02x} at position {column} of the line.",
            where=f"{path}:{line}", next_step="Save the file as UTF-8, for example with `iconv -t UTF-8`.",
        )  # fmt: skip


@contextmanager
def _file(path: Path) -> Iterator[BufferedReader]:
    if not path.exists():
        refuse(f"There is no file {path}.", where=str(path), next_step="Give the path of an existing data file.")
    if not path.is_file():
        refuse(f"{path} is no file.", where=str(path), next_step=f"Give one file: {FORMATS}.")
    try:
        file = path.open("rb")
    except OSError as error:
        refuse(f"{path} cannot be opened: {error.strerror}.", where=str(path), next_step="Allow this user to read it.")
    with file:
        yield file
