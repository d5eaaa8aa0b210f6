"""The bits of every token as a file: safetensors, or Parquet with an extra. Written while scoring, in bounded memory.

Columns: `document` (number of the text or answer, from 0), `file` (number of its file), `token_id`, `bits` (−log₂ p).
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from springback.errors import RefusedError
from springback.experiments.compress.score import Scored

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "document": ("<i4", "I32"),
    "file": ("<i4", "I32"),
    "token_id": ("<i4", "I32"),
    "bits": ("<f8", "F64"),
}
"""Column: its dtype for numpy and in safetensors."""
WRITERS: Final = (".safetensors", ".parquet")

Keep = Callable[[Scored], None]


def require_writable(path: Path) -> None:
    """`RefusedError` for another kind of file, a folder that is not there, or Parquet without its extra."""
    if path.suffix not in WRITERS:
        raise RefusedError(f"{path.name}: token bits are written as {' or '.join(WRITERS)}.", kind="option",
                           where="--token-bits", next="Let the name end in .safetensors.")  # fmt: skip
    if not path.parent.is_dir():
        raise RefusedError(f"There is no folder {path.parent}.", kind="disk", where="--token-bits",
                           next="Make it, or name another place.")  # fmt: skip
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            todo = "pip install 'springback[parquet]', or name a .safetensors file."
            raise RefusedError(
                "Parquet needs an extra.", kind="environment", where="--token-bits", next=todo
            ) from error


@contextmanager
def token_bits(path: Path, about: Mapping[str, str]) -> Iterator[Keep]:
    """Hands out a function that keeps scored tokens; the file is there, whole, once the block has ended well."""
    partial = path.with_name(f"{path.name}.partial")
    write = _parquet if path.suffix == ".parquet" else _safetensors
    try:
        with write(partial, about) as keep:
            yield keep
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def _safetensors(path: Path, about: Mapping[str, str]) -> Iterator[Keep]:
    """The header names sizes, so each column waits in a file of its own until all are known."""
    with ExitStack() as stack:
        spools = {name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in COLUMNS}

        def keep(found: Scored) -> None:
            for name, values in _columns(found).items():
                spools[name].write(values.tobytes())

        yield keep
        _join(path, about, spools)


def _join(path: Path, about: Mapping[str, str], spools: Mapping[str, IO[bytes]]) -> None:
    header: dict[str, Any] = {"__metadata__": dict(about)}
    begin = 0
    for name in sorted(spools, key=lambda name: COLUMNS[name][1] != "F64"):  # eight-byte numbers first: aligned
        size = spools[name].tell()
        header[name] = {
            "dtype": COLUMNS[name][1], "shape": [size // np.dtype(COLUMNS[name][0]).itemsize],
            "data_offsets": [begin, begin + size],
        }  # fmt: skip
        begin += size
    said = json.dumps(header).encode()
    said += b" " * (-len(said) % 8)
    with path.open("wb") as file:
        file.write(len(said).to_bytes(8, "little") + said)
        for name in list(header)[1:]:
            spools[name].seek(0)
            shutil.copyfileobj(spools[name], file)


@contextmanager
def _parquet(path: Path, about: Mapping[str, str]) -> Iterator[Keep]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.from_numpy_dtype(np.dtype(kind))) for name, (kind, _) in COLUMNS.items()])
    with parquet.ParquetWriter(path, schema.with_metadata(dict(about))) as writer:
        held: list[Scored] = []

        def flush() -> None:
            columns = [_columns(found) for found in held]
            if columns:
                joined = {name: np.concatenate([one[name] for one in columns]) for name in COLUMNS}
                writer.write_table(pa.table(joined, schema=schema))
            held.clear()

        def keep(found: Scored) -> None:
            held.append(found)
            if sum(len(one.tokens) for one in held) >= ROW_GROUP:
                flush()

        yield keep
        flush()


ROW_GROUP: Final = 65_536
"""Tokens of a Parquet row group."""


def _columns(found: Scored) -> dict[str, np.ndarray]:
    many = len(found.tokens)
    values = (np.full(many, found.document), np.full(many, found.file), np.array(found.tokens), found.bits)
    return {name: value.astype(COLUMNS[name][0]) for name, value in zip(COLUMNS, values, strict=True)}
