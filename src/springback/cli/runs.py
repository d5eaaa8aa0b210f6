"""`springback runs [list|rm|export]`."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

from cyclopts import App

from springback.cli.answer import Answer
from springback.cli.options import COMMON, Common
from springback.store.export import Format, export
from springback.store.listing import Entry, Listing, entry, remove, runs_under
from springback.store.run import Run

HERE: Final = Path("runs")
app = App(name="runs", help="List, export or remove runs.")


@app.default
def runs(directory: Path = HERE, *, common: Common = COMMON) -> Answer:
    """List the runs in a directory; the same as `runs list`.

    Args:
        directory: Where the runs are, or one of them.
    """
    return list_(directory, common=common)


@app.command(name="list")
def list_(directory: Path = HERE, *, common: Common = COMMON) -> Answer:
    """List the runs in a directory, oldest first.

    Args:
        directory: Where the runs are, or one of them.
    """
    nothing_yet = directory == HERE and not directory.exists()
    found = Listing((), ()) if nothing_yet else runs_under(directory)
    lines = [_line(one) for one in found.runs] or [f"no runs in {directory}"]
    return Answer({"runs": [asdict(one) for one in found.runs]}, lines=lines, warnings=found.unreadable)


@app.command
def rm(run: Path, *, common: Common = COMMON) -> Answer:
    """Delete a run with all its files, at once and for good.

    Args:
        run: Directory of the run; one that is being written is refused.
    """
    gone = remove(run)
    return Answer({"runs": [asdict(gone)]}, lines=[f"removed {gone.run}, {gone.bytes:,} bytes"])


@app.command(name="export")
def export_(
    run: Path,
    *,
    out: Path | None = None,
    format: Format = "csv",
    kinds: tuple[str, ...] = (),
    common: Common = COMMON,
) -> Answer:
    """Write a run's records as tables, one file for each kind.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front; Parquet keeps it as it is.

    Args:
        run: Directory of the run.
        out: Directory for the tables; RUN/export unless given.
        format: csv, or parquet (needs the extra `parquet`).
        kinds: Only records of these kinds, as in cell,sample.
    """
    with Run.look(run) as looked:
        tables = export(looked, out or run / "export", format=format, kinds=kinds)
    result = {"runs": [asdict(entry(run))], "files": [asdict(table) for table in tables]}
    lines = [f"{table.file}: {table.rows:,} rows" for table in tables] or [f"{run} has no records yet"]
    return Answer(result, lines=lines, run=run)


def _line(one: Entry) -> str:
    planned = "?" if one.cells.planned is None else one.cells.planned
    words = [one.at[:16].replace("T", " "), one.run, one.state, f"{one.cells.done}/{planned} cells", one.verdict or "-"]
    return "  ".join([*words, f"{one.bytes / 1e6:.1f} MB"])
