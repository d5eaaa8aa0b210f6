"""Plain text files: read whole, as UTF-8, exactly as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from springback.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Text:
    """One file, read whole and known to be UTF-8."""

    file: str
    text: str
    bytes: int


def read_texts(files: Sequence[Path]) -> list[Text]:
    """Every file, or `RefusedError` naming the first that is missing, empty or not UTF-8 (with the byte's offset)."""
    return [_text(file) for file in files]


def _text(file: Path) -> Text:
    raw = _raw(file)
    if not raw:
        raise RefusedError(f"{file} is empty: a text of no bytes has no compression rate.", kind="data",
                           where=str(file), next="Leave the file out.")  # fmt: skip
    try:
        return Text(str(file), raw.decode("utf-8"), len(raw))
    except UnicodeDecodeError as error:
        raise RefusedError(
            f"{file} is not UTF-8: byte {error.start} (0x{raw[error.start]:02x}) {error.reason}.",
            kind="data", where=f"{file}:byte {error.start}", next="Convert the file to UTF-8; nothing was scored.",
        ) from error  # fmt: skip


def _raw(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}.", kind="data", where=str(file),
                           next="Check the path and its permissions.") from error  # fmt: skip
