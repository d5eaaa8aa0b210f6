"""Plain text files: read in pieces, as UTF-8, exactly as they are."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from springback.errors import RefusedError

PIECE_BYTES: Final = 1 << 17
"""Read at one time; a longer text comes in pieces, cut behind a line's end where there is one."""


@dataclass(frozen=True, slots=True)
class Text:
    """One file that was read once, to its end."""

    file: str
    bytes: int
    fault: str | None = None
    """Why it is no UTF-8, with the byte's offset; None where it is."""

    def pieces(self) -> Iterator[str]:
        """The text in order; one piece where the file has at most `PIECE_BYTES` bytes. Nothing is translated."""
        held = ""
        for block in _decoded(Path(self.file)):
            if held:
                cut = held.rfind("\n") + 1 or len(held)
                yield held[:cut]
                held = held[cut:]
            held += block
        if held:
            yield held


def look(file: Path) -> Text:
    """Read the file once; `RefusedError` where it cannot be read. An empty or faulty one is described, not refused."""
    size = sum(len(block) for block in _blocks(file))
    try:
        for _ in _decoded(file):
            pass
    except UnicodeDecodeError as error:
        return Text(str(file), size, f"byte {error.start} (0x{error.object[0]:02x}) {error.reason}")
    return Text(str(file), size)


def require_text(text: Text) -> None:
    """`RefusedError` for a file of no bytes and for one that is not UTF-8."""
    if not text.bytes:
        raise RefusedError(f"{text.file} is empty: a text of no bytes has no compression rate.", kind="data",
                           where=text.file, next="Leave the file out.")  # fmt: skip
    if text.fault:
        raise RefusedError(
            f"{text.file} is not UTF-8: {text.fault}.", kind="data",
            where=f"{text.file}:{text.fault.partition(' (')[0]}",
            next="Convert the file to UTF-8; nothing was scored.",
        )  # fmt: skip


def _decoded(file: Path) -> Iterator[str]:
    """UnicodeDecodeError: `start` is the byte's offset in the file, `object` that byte."""
    decoder, read = codecs.getincrementaldecoder("utf-8")("strict"), 0
    for block in chain(_blocks(file), [b""]):
        held = len(decoder.getstate()[0])
        try:
            if text := decoder.decode(block, final=not block):
                yield text
        except UnicodeDecodeError as error:
            at = read - held + error.start
            wrong = error.object[error.start : error.start + 1]
            raise UnicodeDecodeError("utf-8", wrong, at, at + 1, error.reason) from error
        read += len(block)


def _blocks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while block := stream.read(PIECE_BYTES):
                yield block
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}.", kind="data", where=str(file),
                           next="Check the path and its permissions.") from error  # fmt: skip
