"""Rows of a Parquet file, as the hub stores data sets. Needs `pyarrow`, which is asked for only here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from springback.data.source import refuse
from springback.errors import RefusedError

BATCH = 256
"""Rows decoded at once."""


def read(path: Path) -> Iterator[tuple[int, Any]]:
    """Row number (from 1) and the row as plain Python values; nothing is converted.

    Raises:
        RefusedError: no pyarrow, no file, or no Parquet.
    """
    if not path.is_file():
        refuse(f"There is no file {path}.", where=str(path), next_step="Give the path of an existing data file.")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RefusedError(
            "Reading Parquet needs the package pyarrow, which is not installed.", kind="option", where=str(path),
            next="pip install pyarrow, or save the data as JSON lines (dataset.to_json(FILE)).",
        ) from error  # fmt: skip
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError) as error:
        refuse(f"{path.name} cannot be read as Parquet: {error}.", where=str(path), next_step="Fetch the file again.")
