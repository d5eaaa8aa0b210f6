"""A page is there whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from springback.errors import RefusedError


def write_text(path: Path, text: str) -> int:
    """Write beside it, fsync, rename. Returns the size in bytes. RefusedError where the directory cannot be written."""
    partial = path.with_name(f"{path.name}.partial")
    content = text.encode("utf-8")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        todo = "Make room, or make the directory writable."
        raise RefusedError(
            f"cannot write the page: {error.strerror}", kind="disk", where=str(path), next=todo
        ) from error
    return len(content)
